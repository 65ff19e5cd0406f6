package rdd_test

import (
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
)

// What a function writes into bytes that it was given stays its own: another action reads
// the same blocks.
func TestBytesOfAShuffleAreTheReaders(t *testing.T) {
	sc := rddtest.NewContext(2)
	ones := rdd.Map(ints(sc, 8, 4), func(i int) rdd.Pair[string, []byte] { return rdd.KV("k", []byte{1}) })
	sums := rdd.ReduceByKey(ones, func(a, b []byte) []byte {
		a[0] += b[0]
		return a
	}, rdd.Partitions(1))
	for range 2 {
		if got, err := rdd.Collect(sums); err != nil || fmt.Sprint(got) != "[{k [8]}]" {
			t.Errorf("%v, %v", got, err)
		}
	}
}

// Keys that a sort has put in order are looked up in all partitions: where one is only
// tasks know.
func TestLookupInWhatIsSorted(t *testing.T) {
	sc := rddtest.NewContext(2)
	sorted := rdd.SortByKey(rdd.Parallelize(sc, []pair{{"b", 1}, {"a", 2}, {"b", 3}, {"c", 4}}), rdd.Partitions(2))
	if got, err := rdd.Lookup(sorted, "b"); err != nil || fmt.Sprint(got) != "[1 3]" {
		t.Errorf("%v, %v", got, err)
	}
}

// A function that reads on when nobody wants more, and meets an error there, fails nothing.
func TestMapPartitionsReadsOn(t *testing.T) {
	sc := rddtest.NewContext(1)
	source := rdd.Source(sc, "source", lineage.Site{}, 1, func(*task.Context, int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			_ = yield(1, nil) && yield(2, nil) && yield(0, errors.New("the disk is gone"))
		}
	})
	reading := rdd.MapPartitions(source, func(_ rdd.Part, in iter.Seq[int]) iter.Seq[int] {
		return func(yield func(int) bool) {
			more := true
			for v := range in {
				more = more && yield(v)
			}
		}
	})
	if got, err := rdd.Take(reading, 1); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

// What the engine has to say is no bad record, whatever becomes of those.
func TestAccumulatorsAreNoBadRecords(t *testing.T) {
	sc := rddtest.NewContext(1)
	total := rdd.NewSum[int](sc, "total")
	r := rdd.TryMap(ints(sc, 3, 1), func(i int) (int, error) { return i + total.Value(), nil }, rdd.OnBadRecord(rdd.Skip()))
	if got, err := rdd.Collect(r); !errors.Is(err, rdd.ErrAccumulator) {
		t.Errorf("%v, %v", got, err)
	}
}
