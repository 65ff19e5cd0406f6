package scheduler_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
)

// blockOf names a partition of an RDD.
func blockOf(n *lineage.Node, p int32) task.Block {
	return task.Block{Batch: n.ID.Batch, DStream: n.ID.DStream, Ordinal: n.ID.Ordinal, Partition: p}
}

func TestBlocks(t *testing.T) {
	_, r := numbers(7, 3)
	n := r.Cache().Node()
	block := func(p int32) task.Block { return blockOf(n, p) }
	stored := func(partitions ...int32) (all []scheduler.StoredBlock) {
		for _, p := range partitions {
			all = append(all, scheduler.StoredBlock{Block: block(p), Level: 1, Bytes: 10})
		}
		return all
	}
	b := scheduler.NewBlocks()
	steps := []struct {
		name  string
		do    func()
		want  []string
		whole bool
	}{
		{"nothing", func() {}, nil, false},
		{"some", func() { b.Add("a", stored(0, 1)) }, []string{"a", "a", ""}, false},
		{"all", func() { b.Add("b", stored(1, 2)) }, []string{"a", "b", "b"}, true},
		{"twice", func() { b.Add("b", stored(1)) }, []string{"a", "b", "b"}, true},
		{"one of two is gone", func() { b.Remove("b", block(1)) }, []string{"a", "a", "b"}, true},
		{"dropped", func() { b.Add("a", []scheduler.StoredBlock{{Block: block(0)}}) }, []string{"", "a", "b"}, false},
		{"not there anyway", func() { b.Remove("c", block(0)) }, []string{"", "a", "b"}, false},
		{"executor lost", func() { b.Lose("b") }, []string{"", "a", ""}, false},
		{"again", func() { b.Add("c", stored(0, 1, 2)) }, []string{"c", "c", "c"}, true},
		{"all of an executor's", func() { b.RemoveAll("c", n.ID) }, []string{"", "a", ""}, false},
		{"unpersisted", func() { b.Drop(n.ID) }, nil, false},
		{"persisted again", func() { b.Add("a", stored(0, 1, 2)) }, []string{"a", "a", "a"}, true},
		{"older batches forgotten", func() { b.Forget(n.ID.Batch) }, []string{"a", "a", "a"}, true},
		{"forgotten", func() { b.Forget(n.ID.Batch + 1) }, nil, false},
		{"too late", func() { b.Add("a", stored(0)) }, nil, false},
	}
	for _, s := range steps {
		s.do()
		if got := b.Holders(n); !slices.Equal(got, s.want) || b.Whole(n) != s.whole {
			t.Errorf("%s: held by %q, whole %v", s.name, got, b.Whole(n))
		}
	}
	if b.Len() != 0 {
		t.Errorf("%d blocks are left", b.Len())
	}
}

// Only what is cached is looked for, however much is said to be stored.
func TestWholeOnlyIfCached(t *testing.T) {
	_, r := numbers(7, 1)
	b := scheduler.NewBlocks()
	b.Add("a", []scheduler.StoredBlock{{Block: blockOf(r.Node(), 0), Level: 1}})
	if b.Whole(r.Node()) {
		t.Error("an RDD that isn't cached is whole")
	}
}

func TestCutAtCached(t *testing.T) {
	sc, r := numbers(9, 3)
	pairs := func(r *rdd.RDD[rdd.Pair[int, int64]]) *rdd.RDD[int] {
		return rdd.Map(r, func(p rdd.Pair[int, int64]) int { return p.Key })
	}
	inner := pairs(rdd.CountedByValue(r, rdd.Partitions(4)).Cache())
	outer := pairs(rdd.CountedByValue(inner, rdd.Partitions(2))).Cache()
	source := rdd.Parallelize(sc, []int{1}, rdd.Partitions(2)).Cache()
	final := outer.Union(source).Union(inner)
	tests := []struct {
		name   string
		stored []*lineage.Node
		want   string
	}{
		{"nothing",
			nil,
			"0 shuffle-map of map: 3 partitions, reads [], input 9.0\n" +
				"1 shuffle-map of map: 4 partitions, reads [0], input 0.1\n" +
				"-2 result of union: 8 partitions, reads [1 0], input 0.8"},
		{"the last", []*lineage.Node{outer.Node()},
			"0 shuffle-map of map: 3 partitions, reads [], input 9.0\n" +
				"-2 result of union: 8 partitions, reads [0], input 0.8, cached [map], spares [1]"},
		{"the first", []*lineage.Node{inner.Node().Deps[0].(lineage.NarrowDependency).Parent},
			"1 shuffle-map of map: 4 partitions, reads [], input 0.1, cached [countByValue], spares [0]\n" +
				"-2 result of union: 8 partitions, reads [1], input 0.8, cached [countByValue], spares [0]"},
		{"all", []*lineage.Node{outer.Node(), source.Node(), inner.Node().Deps[0].(lineage.NarrowDependency).Parent},
			"-2 result of union: 8 partitions, reads [], input 0.8, cached [map parallelize countByValue], spares [1 0]"},
		{"what isn't cached", []*lineage.Node{inner.Node(), r.Node()},
			"0 shuffle-map of map: 3 partitions, reads [], input 9.0\n" +
				"1 shuffle-map of map: 4 partitions, reads [0], input 0.1\n" +
				"-2 result of union: 8 partitions, reads [1 0], input 0.8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stages := scheduler.Cut(1, final.Node(), func(n *lineage.Node) bool { return slices.Contains(tt.stored, n) })
			if got := describe(stages); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// A task that reads cached partitions is told who holds those that its executor doesn't.
func TestTasksAreToldWhatIsCachedElsewhere(t *testing.T) {
	scheduled(t, scheduler.Options{}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		b.events.ExecutorAdded("b", 1)
		sc := inBatch(7)
		kept := rdd.Parallelize(sc, []int{1, 2}, rdd.Partitions(2)).Cache()
		held := map[string]task.Block{"a": blockOf(kept.Node(), 0), "b": blockOf(kept.Node(), 1)}
		for executor, block := range held {
			b.events.Stored(executor, []scheduler.StoredBlock{{Block: block, Level: 1}})
		}
		for output, r := range []*rdd.RDD[int]{kept.Coalesce(1), rdd.Parallelize(sc, []int{1}, rdd.Partitions(1))} {
			s := submit(t.Context(), d, scheduler.NewJob(7, output, r.Node()))
			l := b.next(t)
			other := map[string]string{"a": "b", "b": "a"}[l.executor]
			want := []scheduler.HeldBlocks{{Executor: other, Blocks: []task.Block{held[other]}}}
			if output == 1 {
				want = nil
			}
			if !reflect.DeepEqual(l.task.Elsewhere, want) {
				t.Errorf("output %d on %s: %+v, want %+v", output, l.executor, l.task.Elsewhere, want)
			}
			b.end(l, scheduler.Success{})
			if <-s.ended; s.err != nil {
				t.Error(s.err)
			}
		}
	})
}
