package remote

import (
	"errors"
	"os"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler/block"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// What a task reads from another executor a second time, since it couldn't be kept, is
// counted once: as read, and as having come from there.
func TestRemoteBytesReadAgain(t *testing.T) {
	s := newSecret()
	x := holder(t, "x", s)
	numbers := rdd.Parallelize(rddtest.NewBatch(1, 1), []int{1, 2, 3})
	pairs := rdd.Map(numbers, func(i int) rdd.Pair[int, int] { return rdd.Pair[int, int]{Key: i, Value: i} })
	kept := rdd.PartitionBy(pairs, rdd.Partitions(1)).Persist(rdd.MemoryAndDisk)
	dep := kept.Node().Deps[0].(*lineage.ShuffleDependency)
	reference := rddtest.NewReference()
	w := x.host.store.Writer(t.Context(), shuffle.MapID{Batch: 1, Shuffle: int32(dep.ID)}, 1)
	if err := dep.Write(reference.Task(dep.Parent, 0), 0, w); err != nil {
		t.Fatal(err)
	}
	sizes, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	outs := &shuffle.Outputs{Batch: 1, Shuffle: int32(dep.ID), Maps: []shuffle.Output{{Executor: Name(x.ExecutorProcess), Bytes: sizes}}}

	blocks := block.NewStore(0, t.TempDir())
	refused := 0
	blocks.Disk().OpenBy(func(string, int, os.FileMode) (*os.File, error) {
		refused++
		return nil, errors.New("no room")
	})
	tc := reference.Task(kept.Node(), 0)
	tc.Context, tc.Cache = t.Context(), blocks.Partitions()
	r := reader(t, s, outs)
	r.remote, tc.Shuffle = &tc.Metrics.ShuffleRemote, r
	n := 0
	for _, err := range kept.Compute(tc, 0) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if want := (task.Metrics{ShuffleRead: sizes[0], ShuffleRemote: sizes[0], NotKept: 1}); n != 3 || refused != 1 || tc.Counted() != want {
		t.Errorf("%d records, %d files refused, counted %+v", n, refused, tc.Counted())
	}
	if err := blocks.Close(); err != nil {
		t.Error(err)
	}
}
