package rdd_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/rddtest"
)

func TestSorts(t *testing.T) {
	sc := rddtest.NewContext(3)
	words := rdd.Parallelize(sc, strings.Fields("pear fig apple kiwi plum date lime"), rdd.Partitions(3))
	text := func(s string) string { return s }
	check(t, rdd.SortBy(words, text, rdd.Partitions(1)), [][]string{strings.Fields("apple date fig kiwi lime pear plum")})
	check(t, rdd.SortBy(words, text), [][]string{{"apple", "date", "fig"}, {"kiwi", "lime"}, {"pear", "plum"}})
	check(t, rdd.SortBy(words, text, rdd.Descending()), [][]string{{"plum", "pear", "lime"}, {"kiwi", "fig"}, {"date", "apple"}})
	byLength := rdd.SortBy(words, func(s string) int { return len(s) }, rdd.Partitions(2))
	if got := fmt.Sprint(flat(t, byLength)); got != "[fig pear kiwi plum date lime apple]" { // the order of those of one length stays
		t.Error(got)
	}
	check(t, rdd.SortByFunc(words, strings.Compare, rdd.Partitions(1)), [][]string{strings.Fields("apple date fig kiwi lime pear plum")})
	check(t, rdd.SortBy(rdd.Parallelize(sc, []string{}, rdd.Partitions(2)), text), [][]string{{}, {}, {}})
	check(t, rdd.SortBy(rdd.Parallelize(sc, []int{7, 7, 7, 7}), func(i int) int { return i }), [][]int{{7, 7, 7, 7}, {}, {}})

	pairs := rdd.Parallelize(sc, []pair{{"b", 1}, {"a", 2}, {"b", 3}, {"c", 4}}, rdd.Partitions(2))
	byKey := rdd.SortByKey(pairs, rdd.Partitions(2))
	if got := fmt.Sprint(flat(t, byKey)); got != "[{a 2} {b 1} {b 3} {c 4}]" {
		t.Error(got)
	}
	sums := rdd.ReduceByKey(byKey, sum)
	if got := fmt.Sprint(flat(t, sums)); got != "[{a 2} {b 4} {c 4}]" || sums.Node().Partitioner != byKey.Node().Partitioner {
		t.Errorf("%s with %v", got, sums.Node().Partitioner)
	}
	if shuffles(rdd.ReduceByKey(rdd.SortBy(pairs, func(kv pair) int { return kv.Value }), sum).Node()) == shuffles(byKey.Node()) {
		t.Error("what is sorted by value isn't in place by key")
	}
	within := rdd.RepartitionAndSortWithinPartitions(pairs, firstLetter{3})
	check(t, within, [][]pair{{{"c", 4}}, {{"a", 2}}, {{"b", 1}, {"b", 3}}})
}

// shuffles counts the shuffles that a node is computed through.
func shuffles(n *lineage.Node) int {
	count := 0
	for _, d := range n.Deps {
		if _, ok := d.(*lineage.ShuffleDependency); ok {
			count++
		}
		count += shuffles(d.ParentNode())
	}
	return count
}

// firstLetter puts keys into the partition of their first letter.
type firstLetter struct{ n int }

func (p firstLetter) Partitions() int              { return p.n }
func (p firstLetter) Equal(o rdd.Partitioner) bool { return o == rdd.Partitioner(p) }
func (p firstLetter) Partition(key string) int     { return int(key[0]) % p.n }

// Sorting many elements in many partitions gives what sorting them in one place gives.
func TestSortsOfManyElements(t *testing.T) {
	const seed = 11
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, n := range []int{0, 1, 2, 1000, 20_000} {
		rows := make([][2]int, n)
		for i := range rows {
			rows[i] = [2]int{rng.IntN(n/2 + 1), i}
		}
		want := slices.Clone(rows)
		slices.SortStableFunc(want, func(a, b [2]int) int { return cmp.Compare(a[0], b[0]) })
		sc := rddtest.NewContext(8)
		parts, err := rddtest.Glom(rdd.SortBy(rdd.Parallelize(sc, rows, rdd.Partitions(5)), func(v [2]int) int { return v[0] }))
		if err != nil || !slices.Equal(slices.Concat(parts...), want) {
			t.Errorf("seed %d, %d elements: %v", seed, n, err)
		}
		for p, rows := range parts {
			if n >= 1000 && (len(rows) < n/16 || len(rows) > n/4) {
				t.Errorf("seed %d: partition %d of 8 has %d of %d elements", seed, p, len(rows), n)
			}
		}
	}
}

func TestSortRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		build func(r *rdd.RDD[pair])
		want  error
	}{
		"a nil key":      {func(r *rdd.RDD[pair]) { rdd.SortBy[pair, int](r, nil) }, rdd.ErrNilFunction},
		"a nil order":    {func(r *rdd.RDD[pair]) { rdd.SortByFunc(r, nil) }, rdd.ErrNilFunction},
		"no partitions":  {func(r *rdd.RDD[pair]) { rdd.SortByKey(r, rdd.Partitions(0)) }, rdd.ErrPartitions},
		"a partitioner":  {func(r *rdd.RDD[pair]) { rdd.SortByKey(r, rdd.By(rdd.HashPartitioner{N: 2})) }, rdd.ErrPartitioner},
		"no partitioner": {func(r *rdd.RDD[pair]) { rdd.RepartitionAndSortWithinPartitions(r, nil) }, rdd.ErrPartitioner},
		"of another type": {func(r *rdd.RDD[pair]) {
			rdd.RepartitionAndSortWithinPartitions(rdd.Map(r, func(p pair) rdd.Pair[int, int] { return rdd.KV(1, 1) }), firstLetter{2})
		}, rdd.ErrPartitioner},
	} {
		sc := rddtest.NewContext(1)
		c.build(rdd.Parallelize(sc, []pair{{"a", 1}}))
		if err := sc.Lineage().Err(); !errors.Is(err, c.want) || !strings.Contains(err.Error(), "sort_test.go:") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A key that the partitioner puts nowhere is an error of its record.
	sc := rddtest.NewContext(1)
	bad := rdd.RepartitionAndSortWithinPartitions(rdd.Parallelize(sc, []pair{{"a", 1}}), nowhere{2})
	if _, err := rdd.Collect(bad); !errors.Is(err, rdd.ErrPartitioner) || !strings.Contains(err.Error(), "puts the key a into partition 2 of 2") {
		t.Error(err)
	}
}

type nowhere struct{ n int }

func (p nowhere) Partitions() int              { return p.n }
func (p nowhere) Equal(o rdd.Partitioner) bool { return o == rdd.Partitioner(p) }
func (p nowhere) Partition(string) int         { return p.n }
