package rdd_test

import (
	"iter"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
)

// tag is a record with a short string and short bytes.
type tag struct {
	ID   int
	Name string
	Sums [2][]byte
}

// What is kept of a block, cached records or what was collected, doesn't keep all of the
// block.
func TestKeptRecordsOwnTheirStrings(t *testing.T) {
	const text = "\xa3abcdefg" // begins with the msgpack string "abc"
	codec, err := encoding.For[string]()
	if err != nil {
		t.Fatal(err)
	}
	for name, keep := range map[string]func(l *rdd.Context, tc *task.Context, block []byte) any{
		"cached": func(l *rdd.Context, tc *task.Context, block []byte) any {
			r := rdd.Source(l, "source", lineage.Site{}, 1, func(*task.Context, int) iter.Seq2[tag, error] {
				s := unsafe.String(&block[1], 3)
				return func(yield func(tag, error) bool) { yield(tag{1, s, [2][]byte{block[:2], nil}}, nil) }
			}).Cache()
			tc.Cache = &task.Cache{}
			for v, err := range r.Compute(tc, 0) {
				if err != nil || v.Name != "abc" || string(v.Sums[0]) != text[:2] || v.Sums[1] != nil {
					t.Errorf("%+v, %v", v, err)
				}
			}
			return tc.Cache
		},
		"collected": func(_ *rdd.Context, _ *task.Context, block []byte) any {
			rows, err := rdd.DecodeRows(codec, [][]byte{block[:4]})
			if err != nil || len(rows) != 1 || rows[0] != "abc" {
				t.Error(rows, err)
			}
			return rows
		},
	} {
		freed := make(chan struct{})
		kept := func() any {
			block := new([1 << 20]byte)
			copy(block[:], text)
			runtime.AddCleanup(block, func(c chan struct{}) { close(c) }, freed)
			return keep(rddtest.NewBatch(1, 1), rddtest.NewReference().Task(&lineage.Node{}, 0), block[:])
		}()
		runtime.GC()
		select {
		case <-freed:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the block is still in memory", name)
		}
		runtime.KeepAlive(kept)
	}
}
