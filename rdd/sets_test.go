package rdd_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

func TestSets(t *testing.T) {
	sc := rddtest.NewContext(2)
	a := sourceOf(sc, []string{"b", "a", "b"}, nil, []string{"c", "a", "e"})
	b := sourceOf(sc, []string{"a", "d"}, []string{"e", "a"})
	none, empty := sourceOf[string](sc), sourceOf(sc, []string{}, nil)
	for name, c := range map[string]struct {
		r    *rdd.RDD[string]
		want string // of one partition, so in the order in which values came
	}{
		"distinct":                  {rdd.Distinct(a, rdd.Partitions(1)), "[b a c e]"},
		"distinct of no partitions": {rdd.Distinct(none), "[]"},
		"distinct of nothing":       {rdd.Distinct(empty), "[]"},
		"intersection":              {rdd.Intersection(a, b, rdd.Partitions(1)), "[a e]"},
		"intersection, reversed":    {rdd.Intersection(b, a, rdd.Partitions(1)), "[a e]"},
		"intersection with itself":  {rdd.Intersection(a, a, rdd.Partitions(1)), "[b a c e]"},
		"intersection with nothing": {rdd.Intersection(a, empty), "[]"},
		"intersection with none":    {rdd.Intersection(none, a), "[]"},
		"subtract":                  {rdd.Subtract(a, b, rdd.Partitions(1)), "[b b c]"},
		"subtract, reversed":        {rdd.Subtract(b, a, rdd.Partitions(1)), "[d]"},
		"subtract itself":           {rdd.Subtract(a, a), "[]"},
		"subtract nothing":          {rdd.Subtract(a, empty, rdd.Partitions(1)), "[b b a a c e]"},
		"subtract none":             {rdd.Subtract(b, none, rdd.Partitions(1)), "[a a d e]"},
		"subtract from none":        {rdd.Subtract(none, b), "[]"},
	} {
		if got := fmt.Sprint(flat(t, c.r)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// How many partitions the results have by themselves.
func TestPartitionsOfSets(t *testing.T) {
	sc := rddtest.NewContext(4)
	a, b := ints(sc, 20, 3), ints(sc, 20, 7)
	for name, c := range map[string]struct {
		r    *rdd.RDD[int]
		want int
	}{
		"distinct":      {rdd.Distinct(a), 3},
		"distinct in 5": {rdd.Distinct(a, rdd.Partitions(5)), 5},
		"intersection":  {rdd.Intersection(a, b), 4},
		"subtract":      {rdd.Subtract(a, b), 3},
		"subtract by":   {rdd.Subtract(a, b, rdd.By(parity{})), 2},
	} {
		if n := c.r.NumPartitions(); n != c.want || c.r.Node().Partitioner != nil {
			t.Errorf("%s: %d partitions, %v", name, n, c.r.Node().Partitioner)
		}
	}
	check(t, rdd.Distinct(ints(sc, 5, 3), rdd.By(parity{})), [][]int{{2, 4}, {1, 3, 5}})
}

// parity puts odd numbers into the partition 1.
type parity struct{}

func (parity) Partitions() int              { return 2 }
func (parity) Partition(key int) int        { return key % 2 }
func (parity) Equal(o rdd.Partitioner) bool { _, ok := o.(parity); return ok }
func (parity) String() string               { return "parity" }

// Pairs with a partitioner are where equal ones are: nothing is moved for as many
// partitions. A partitioner of their keys isn't one of the pairs.
func TestDistinctOfPartitionedPairs(t *testing.T) {
	sc := rddtest.NewContext(2)
	doubled := func(r *rdd.RDD[pair]) *rdd.RDD[pair] { return r.Union(r) }
	keyed := rdd.ReduceByKey(rdd.Map(ints(sc, 6, 2), func(i int) pair { return pair{text(i%3 + 1), i} }), sum, rdd.Partitions(3))
	twice := doubled(keyed)
	if twice.Node().Partitioner == nil {
		t.Fatal("the union has no partitioner")
	}
	kept, moved := rdd.Distinct(twice), rdd.Distinct(twice, rdd.Partitions(2))
	if p := kept.Node().Partitioner; p == nil || !p.Equal(keyed.Node().Partitioner) || moved.Node().Partitioner != nil {
		t.Errorf("partitioners are %v and %v", p, moved.Node().Partitioner)
	}
	if sc.Lineage().Shuffle(1) == nil || sc.Lineage().Shuffle(2) != nil {
		t.Error("there aren't two shuffles, one for each change of partitions")
	}
	want, err := rddtest.Glom(keyed)
	if err != nil {
		t.Fatal(err)
	}
	check(t, kept, want)
	if n := len(flat(t, moved)); n != 3 {
		t.Errorf("%d pairs", n)
	}
	if n := len(flat(t, rdd.Subtract(twice, rdd.Map(keyed, func(kv pair) pair { return kv })))); n != 0 {
		t.Errorf("%d pairs are left", n)
	}
}

// NaN is one value; the zeros are one.
func TestSetsOfFloats(t *testing.T) {
	sc := rddtest.NewContext(2)
	nan := math.NaN()
	a := sourceOf(sc, []float64{nan, 0, nan}, []float64{math.Copysign(0, -1), nan, 1})
	if got := flat(t, rdd.Distinct(a)); len(got) != 3 {
		t.Error(got)
	}
	if got := flat(t, rdd.Intersection(a, sourceOf(sc, []float64{nan, 0}))); len(got) != 2 {
		t.Error(got)
	}
	if got := flat(t, rdd.Subtract(a, sourceOf(sc, []float64{nan, 0}))); fmt.Sprint(got) != "[1]" {
		t.Error(got)
	}
}

func TestGroups(t *testing.T) {
	sc := rddtest.NewContext(2)
	odd := func(i int) string { return []string{"even", "odd"}[i%2] }
	in := ints(sc, 5, 2)
	check(t, rdd.KeyBy(in, odd), [][]pair{{{"odd", 1}, {"even", 2}}, {{"odd", 3}, {"even", 4}, {"odd", 5}}})
	check(t, rdd.KeyBy(sourceOf[int](sc), odd), [][]pair{})
	type group = rdd.Pair[string, []int]
	check(t, rdd.GroupBy(in, odd, rdd.Partitions(1)), [][]group{{{"odd", []int{1, 3, 5}}, {"even", []int{2, 4}}}})
	check(t, rdd.GroupBy(sourceOf[int](sc), odd), [][]group{{}, {}})
	if p := rdd.GroupBy(in, odd).Node().Partitioner; p == nil || !p.Equal(rdd.HashPartitioner{N: 2}) {
		t.Errorf("the partitioner is %v", p)
	}
}

func TestErrorsOfSets(t *testing.T) {
	type timed struct{ P *int }
	pointer := func(int) timed { return timed{} }
	for name, c := range map[string]struct {
		build func(sc *rdd.Context)
		op    string
		want  error
	}{
		"distinct in none":      {func(sc *rdd.Context) { rdd.Distinct(ints(sc, 1, 1), rdd.Partitions(0)) }, "distinct", rdd.ErrPartitions},
		"intersection of nil":   {func(sc *rdd.Context) { rdd.Intersection(ints(sc, 1, 1), nil) }, "intersection", rdd.ErrNil},
		"subtract another":      {func(sc *rdd.Context) { rdd.Subtract(ints(sc, 1, 1), ints(rddtest.NewContext(1), 1, 1)) }, "subtract", rdd.ErrForeign},
		"subtract into -1":      {func(sc *rdd.Context) { rdd.Subtract(ints(sc, 1, 1), ints(sc, 1, 1), rdd.Partitions(-1)) }, "subtract", rdd.ErrPartitions},
		"distinct pointers":     {func(sc *rdd.Context) { rdd.Distinct(rdd.Map(ints(sc, 1, 1), pointer)) }, "distinct", encoding.ErrUnencodable},
		"keys by nil":           {func(sc *rdd.Context) { rdd.KeyBy[int](ints(sc, 1, 1), nil) }, "keyBy", rdd.ErrNilFunction},
		"groups by nil":         {func(sc *rdd.Context) { rdd.GroupBy[int](ints(sc, 1, 1), nil) }, "groupBy", rdd.ErrNilFunction},
		"groups in none":        {func(sc *rdd.Context) { rdd.GroupBy(ints(sc, 1, 1), identity, rdd.Partitions(0)) }, "groupBy", rdd.ErrPartitions},
		"groups by the strange": {func(sc *rdd.Context) { rdd.GroupBy(ints(sc, 1, 1), identity, rdd.By(strange{})) }, "groupBy", rdd.ErrPartitioner},
	} {
		checkRefused(t, name, c.op, c.build, c.want)
	}
}

// strange can't place a key.
type strange struct{}

func (strange) Partitions() int            { return 1 }
func (strange) Equal(rdd.Partitioner) bool { return false }
