package remote

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"

	"github.com/hibana-engine/hibana/scheduler"
)

// invocation returns one whose contents follow from its number.
func invocation(seq uint64, size int) *Invoke {
	return &Invoke{Seq: seq, Invocation: bytes.Repeat([]byte{byte(seq)}, size)}
}

// Whatever is added, spilled and forgotten, readers get what isn't forgotten, in order and
// as it was.
func TestRecord(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		r := newRecord(t.TempDir(), rng.IntN(200))
		type follower struct {
			*recordReader
			seen uint64
		}
		var all []*follower
		var last, forgotten uint64
		check := func(f *follower) {
			t.Helper()
			i, err := f.next()
			if err != nil {
				t.Fatal(err)
			}
			want := max(f.seen, forgotten) + 1
			switch {
			case i == nil && want <= last:
				t.Fatalf("invocation %d isn't there", want)
			case i != nil && (i.Seq != want || !bytes.Equal(i.Invocation, invocation(want, len(i.Invocation)).Invocation)):
				t.Fatalf("invocation %d, %v; want %d", i.Seq, i.Invocation, want)
			case i != nil:
				f.seen = want
			}
		}
		for range 300 {
			switch n := rng.IntN(12); {
			case n < 6:
				last++
				if err := r.add(invocation(last, rng.IntN(30))); err != nil {
					t.Fatal(err)
				}
			case n == 6:
				reader, count := r.reader()
				if want := int(last - forgotten); count != want {
					t.Fatalf("%d invocations are there, want %d", count, want)
				}
				all = append(all, &follower{reader, forgotten})
			case n == 7:
				forgotten += uint64(rng.IntN(int(last-forgotten) + 1))
				if err := r.forget(forgotten + 1); err != nil {
					t.Fatal(err)
				}
			case len(all) > 0:
				check(all[rng.IntN(len(all))])
			}
		}
		for _, f := range all {
			for f.seen < last && last > forgotten {
				check(f)
			}
		}
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What doesn't fit into memory and can't be written is an error that says so.
func TestRecordWithoutADisk(t *testing.T) {
	r := newRecord(t.TempDir()+"/gone", 10)
	if err := r.add(invocation(1, 11)); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}

// An executor that joins after 10,000 steps is told of all of them, in order and before its
// tasks, and the driver's memory holds little of it.
func TestExecutorThatJoinsLate(t *testing.T) {
	const steps, size = 10_000, 10 << 10
	s := newSecret()
	d := drive(t, s, 1)
	began := heap()
	for n := range uint64(steps) {
		if err := d.Invoke(n+1, invocation(n+1, size).Invocation); err != nil {
			t.Fatal(err)
		}
	}
	if grown := int64(heap()) - int64(began); grown > maxRecordMemory+8<<20 {
		t.Errorf("the driver's memory has grown by %d MB of %d MB", grown>>20, steps*size>>20)
	}
	h := succeed([]byte("result"))
	x := start(t, "x", s, h)
	d.members(x)
	next(t, "the executor", d.lines)
	d.Launch(Name(x.ExecutorProcess), taskOf(1, 1, 0))
	if o, ok := next(t, "the task's end", d.outcomes).(scheduler.Success); !ok {
		t.Fatalf("%+v", o)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.invoked) != steps {
		t.Fatalf("it was told of %d steps", len(h.invoked))
	}
	for i, seq := range h.invoked {
		if seq != uint64(i+1) {
			t.Fatalf("step %d came as number %d", seq, i+1)
		}
	}
	if grown := int64(heap()) - int64(began); grown > maxRecordMemory+16<<20 {
		t.Errorf("then the driver's memory has grown by %d MB", grown>>20)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
