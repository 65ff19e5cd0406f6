package rdd_test

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

// narrowOperators are operators of the families sample, zip, layout, sets, group, pipe and
// try, made of RDDs of one partition, to be read as numbers.
func narrowOperators(in, other *rdd.RDD[int]) map[string]*rdd.RDD[int] {
	first := func(v rdd.Tuple[int, int]) int { return v.First }
	indexed := func(kv rdd.Pair[int64, int]) int { return kv.Value }
	size := func(v []int) int { return len(v) }
	yes := func(int) (bool, error) { return true, nil }
	all := func(_ rdd.Part, a, b iter.Seq[int]) iter.Seq[int] {
		return func(yield func(int) bool) {
			for v := range a {
				if !yield(v) {
					return
				}
			}
			for v := range b {
				if !yield(v) {
					return
				}
			}
		}
	}
	number := func(s string) (int, error) { return strconv.Atoi(s) }
	return map[string]*rdd.RDD[int]{
		"sample":          in.Sample(false, 1, 1),
		"sample again":    in.Sample(true, 4, 1),
		"randomSplit":     in.RandomSplit([]float64{1}, 1)[0],
		"zip":             rdd.Map(rdd.Zip(in, other), first),
		"zipPartitions":   rdd.ZipPartitions(in, other, all),
		"zipWithIndex":    rdd.Map(rdd.ZipWithIndex(in), indexed),
		"zipWithUniqueID": rdd.Map(rdd.ZipWithUniqueID(in), indexed),
		"cartesian":       rdd.Map(rdd.Cartesian(in, other), first),
		"cartesian after": rdd.Map(rdd.Cartesian(other, in), first),
		"coalesce":        in.Union(other).Coalesce(1),
		"repartition":     in.Repartition(1),
		"glom":            rdd.Map(rdd.Glom(in), size),
		"batch":           rdd.Map(rdd.Batch(in, 1), size),
		"keyBy":           rdd.Map(rdd.KeyBy(in, identity), func(kv rdd.Pair[int, int]) int { return kv.Value }),
		"groupBy":         rdd.Map(rdd.GroupBy(in, identity, rdd.Partitions(1)), func(kv rdd.Pair[int, []int]) int { return kv.Key }),
		"distinct":        rdd.Distinct(in),
		"intersection":    rdd.Intersection(in, other, rdd.Partitions(1)),
		"subtract":        rdd.Subtract(in, rdd.Map(other, negate), rdd.Partitions(1)),
		"pipe":            rdd.TryMap(rdd.Pipe(rdd.Map(in, strconv.Itoa), []string{"cat"}), number),
		"tryMap":          rdd.TryMap(in, func(i int) (int, error) { return i, nil }),
		"tryFilter":       in.TryFilter(yes),
		"tryFlatMap":      rdd.TryFlatMap(in, func(i int) ([]int, error) { return []int{i}, nil }),
	}
}

// What can't be read to its end is never taken for shorter.
func TestNarrowOperatorsPassErrors(t *testing.T) {
	sc := rddtest.NewContext(1)
	for name, r := range narrowOperators(brokenAfter(sc, 3), ints(sc, 3, 1)) {
		if _, err := readAll(r); !errors.Is(err, errDisk) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whoever reads them may end before they do.
func TestNarrowOperatorsStop(t *testing.T) {
	sc := rddtest.NewContext(1)
	for name, r := range narrowOperators(ints(sc, 500, 1), ints(sc, 500, 1)) {
		e := rddtest.NewReference()
		if err := e.Prepare(r.Node()); err != nil {
			t.Fatal(err)
		}
		for range 2 { // and begin anew
			n := 0
			for _, err := range r.Compute(e.Task(r.Node(), 0), 0) {
				if n++; err != nil {
					t.Errorf("%s: %v", name, err)
				}
				break
			}
			if n != 1 {
				t.Errorf("%s has no element", name)
			}
		}
	}
}

// A killed task ends soon, and says why, wherever it is.
func TestKilledNarrowOperatorsStop(t *testing.T) {
	const n = 100_000
	killed := errors.New("killed")
	sc := rddtest.NewContext(1)
	ops := narrowOperators(rdd.Range(sc, 0, n, 1), rdd.Range(sc, 0, n, 1))
	ops["sample of many"] = ints(sc, 1, 1).Sample(true, n, 1)
	ops["product with many"] = rdd.Map(rdd.Cartesian(ints(sc, 1, 1), ints(sc, n, 1)), func(v rdd.Tuple[int, int]) int { return v.Second })
	ops["copies"] = rdd.Subtract(rdd.Map(ints(sc, n, 1), func(int) int { return 1 }), ints(sc, 0, 1))
	ops["many of one"] = rdd.TryFlatMap(ints(sc, 1, 1), func(int) ([]int, error) { return make([]int, n), nil })
	for name, r := range ops {
		ctx, kill := context.WithCancelCause(t.Context())
		e := rddtest.NewReference()
		if err := e.Prepare(r.Node()); err != nil {
			t.Fatal(err)
		}
		tc := e.Task(r.Node(), 0)
		tc.Context = ctx
		seen := 0
		var last error
		for _, err := range r.Compute(tc, 0) {
			seen++
			kill(killed)
			last = err
		}
		// Two contexts of the task ask by turns below a union.
		if name != "glom" && (!errors.Is(last, killed) || seen > 200) {
			t.Errorf("%s: %d records after the kill, then %v", name, seen, last)
		}
		kill(nil)
	}
}
