package rdd_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

func TestCoalesce(t *testing.T) {
	sc := rddtest.NewContext(1)
	for _, c := range []struct {
		of, into int
		want     string
	}{
		{10, 3, "[[1 2 3] [4 5 6] [7 8 9 10]]"}, // as Spark does it
		{10, 10, "[[1] [2] [3] [4] [5] [6] [7] [8] [9] [10]]"},
		{5, 2, "[[1 2] [3 4 5]]"},
		{4, 1, "[[1 2 3 4]]"},
		{2, 7, "[[1] [2]]"}, // it never grows
	} {
		r := ints(sc, c.of, c.of).Coalesce(c.into)
		got, err := rddtest.Glom(r)
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%d into %d: %v, %v", c.of, c.into, got, err)
		}
	}
	check(t, sourceOf(sc, nil, []int{1}, nil).Coalesce(2), [][]int{{}, {1}})
	check(t, sourceOf[int](sc).Coalesce(2), [][]int{})
	if sc.Lineage().Shuffle(0) != nil {
		t.Error("a coalesce has a shuffle")
	}
}

// A partition needs neighbours of its parent's, and no others.
func TestDependenciesOfCoalesce(t *testing.T) {
	sc := rddtest.NewContext(1)
	deps := ints(sc, 10, 10).Coalesce(3).Node().Deps
	if d, ok := deps[0].(lineage.NarrowDependency); !ok || len(deps) != 1 || d.Map != (lineage.Grouped{Of: 10, Into: 3}) {
		t.Errorf("dependencies are %v", deps)
	}
}

func TestCoalesceKeepsPartitionerOnlyIfNothingChanges(t *testing.T) {
	sc := rddtest.NewContext(1)
	keyed := rdd.CountedByValue(ints(sc, 9, 2), rdd.Partitions(4))
	if p := keyed.Coalesce(4).Node().Partitioner; p == nil {
		t.Error("the partitioner was lost")
	}
	if p := keyed.Coalesce(3).Node().Partitioner; p != nil {
		t.Errorf("%v was kept", p)
	}
	if p := keyed.Repartition(4).Node().Partitioner; p != nil {
		t.Errorf("%v was kept", p)
	}
}

func TestRepartition(t *testing.T) {
	sc := rddtest.NewContext(1)
	for _, c := range []struct{ n, partitions, into int }{{1000, 4, 10}, {1000, 1, 7}, {1000, 10, 3}, {3, 2, 8}, {0, 2, 3}, {5, 5, 1}} {
		same := rdd.Map(ints(sc, c.n, c.partitions), func(int) string { return "same" })
		got, err := rddtest.Glom(same.Repartition(c.into))
		if err != nil || len(got) != c.into {
			t.Fatalf("%+v: %d partitions, %v", c, len(got), err)
		}
		least, most, all := c.n, 0, 0
		for _, p := range got {
			least, most, all = min(least, len(p)), max(most, len(p)), all+len(p)
		}
		// Each partition of the parent gives equally many to all, and one more to some.
		if all != c.n || most-least > c.partitions || c.n%(c.partitions*c.into) == 0 && most != least {
			t.Errorf("%+v: from %d to %d elements, %d in all", c, least, most, all)
		}
	}
	if got := flat(t, sourceOf[int](sc).Repartition(2)); len(got) != 0 {
		t.Error(got)
	}
}

// Every attempt sends an element to the same partition; partitions don't all begin at the
// same one.
func TestRepartitionIsDetermined(t *testing.T) {
	run := func() [][]int {
		got, err := rddtest.Glom(ints(rddtest.NewContext(1), 64, 64).Repartition(8))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := run()
	if fmt.Sprint(first) != fmt.Sprint(run()) {
		t.Error("two runs differ")
	}
	empty := slices.ContainsFunc(first, func(p []int) bool { return len(p) == 0 })
	if fullest := slices.MaxFunc(first, func(a, b []int) int { return len(a) - len(b) }); empty || len(fullest) > 24 {
		t.Errorf("64 partitions of one element: %v", first)
	}
}

func TestGlom(t *testing.T) {
	sc := rddtest.NewContext(1)
	check(t, rdd.Glom(sourceOf(sc, []int{1, 2}, nil, []int{3})), [][][]int{{{1, 2}}, {{}}, {{3}}})
	check(t, rdd.Glom(sourceOf[int](sc)), [][][]int{})
	// What it yields is the user's to change, though its input is kept.
	in := ints(sc, 2, 1).Cache()
	spoiled := rdd.Map(rdd.Glom(in), func(v []int) int { v[0] = 7; return v[0] })
	check(t, spoiled.Union(in), [][]int{{7}, {1, 2}})
}

func TestBatch(t *testing.T) {
	sc := rddtest.NewContext(1)
	in := sourceOf(sc, []int{1, 2, 3, 4, 5}, nil, []int{6, 7})
	check(t, rdd.Batch(in, 2), [][][]int{{{1, 2}, {3, 4}, {5}}, {}, {{6, 7}}})
	check(t, rdd.Batch(in, 1), [][][]int{{{1}, {2}, {3}, {4}, {5}}, {}, {{6}, {7}}})
	check(t, rdd.Batch(in, 1<<62), [][][]int{{{1, 2, 3, 4, 5}}, {}, {{6, 7}}})
	var kept [][]int
	for v, err := range rdd.Batch(in, 2).Compute(rddtest.NewReference().Task(in.Node(), 0), 0) {
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, v)
	}
	if s := fmt.Sprint(kept); s != "[[1 2] [3 4] [5]]" {
		t.Errorf("batches that were kept are now %s", s)
	}
}

func TestErrorsOfLayout(t *testing.T) {
	type chans struct{ C chan int }
	for name, c := range map[string]struct {
		build func(sc *rdd.Context)
		op    string
		want  error
	}{
		"coalesce into none":      {func(sc *rdd.Context) { ints(sc, 1, 1).Coalesce(0) }, "coalesce", rdd.ErrPartitions},
		"coalesce into -1":        {func(sc *rdd.Context) { ints(sc, 1, 1).Coalesce(-1) }, "coalesce", rdd.ErrPartitions},
		"repartition into none":   {func(sc *rdd.Context) { ints(sc, 1, 1).Repartition(0) }, "repartition", rdd.ErrPartitions},
		"repartition of too many": {func(sc *rdd.Context) { ints(sc, 1, 1).Repartition(rdd.MaxPartitions + 1) }, "repartition", rdd.ErrPartitions},
		"repartition of channels": {func(sc *rdd.Context) { sourceOf[chans](sc).Repartition(2) }, "repartition", encoding.ErrUnencodable},
		"batches of none":         {func(sc *rdd.Context) { rdd.Batch(ints(sc, 1, 1), 0) }, "batch", rdd.ErrArgument},
	} {
		checkRefused(t, name, c.op, c.build, c.want)
	}
}
