package scheduler_test

import (
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/scheduler"
)

// What is spread as a join's or a grouping's result is to be isn't moved again: no stage
// writes it once more.
func TestCutOfCoPartitionedRDDs(t *testing.T) {
	type pairs = rdd.RDD[rdd.Pair[int, int]]
	plus := func(a, b int) int { return a + b }
	const (
		left  = "0 shuffle-map of map: 3 partitions, reads [], input 9.0\n"
		right = "1 shuffle-map of map: 3 partitions, reads [], input 9.0\n"
	)
	for _, c := range []struct {
		name  string
		build func(a, b *pairs) *lineage.Node
		want  string
	}{
		{"join", func(a, b *pairs) *lineage.Node { return rdd.Join(a, b).Node() },
			left + right + "-2 result of join: 4 partitions, reads [0 1], input 0.1"},
		{"outer join of what keeps it", func(a, b *pairs) *lineage.Node {
			return rdd.FullOuterJoin(rdd.MapValues(a, func(v int) string { return "" }), b.Filter(func(rdd.Pair[int, int]) bool { return true })).Node()
		}, left + right + "-2 result of fullOuterJoin: 4 partitions, reads [0 1], input 0.1"},
		{"join with what isn't", func(a, b *pairs) *lineage.Node {
			return rdd.Join(a, rdd.Map(b, func(p rdd.Pair[int, int]) rdd.Pair[int, int] { return p })).Node()
		}, right + "2 shuffle-map of map: 4 partitions, reads [1], input 0.3\n" + left +
			"-2 result of join: 4 partitions, reads [2 0], input 0.1"},
		{"cogroup", func(a, b *pairs) *lineage.Node { return rdd.Cogroup3(a, a, b).Node() },
			left + right + "-2 result of cogroup: 4 partitions, reads [0 1], input 0.1"},
		{"subtractByKey", func(a, b *pairs) *lineage.Node { return rdd.SubtractByKey(a, b).Node() },
			left + right + "-2 result of subtractByKey: 4 partitions, reads [0 1], input 0.1"},
		{"groupings", func(a, _ *pairs) *lineage.Node {
			return rdd.PartitionBy(rdd.GroupByKey(rdd.FoldByKey(rdd.AggregateByKey(a, 0, plus, plus), 0, plus))).Node()
		}, left + "-2 result of partitionBy: 4 partitions, reads [0], input 0.1"},
	} {
		_, r := numbers(9, 3)
		spread := func() *pairs {
			return rdd.PartitionBy(rdd.Map(r, func(i int) rdd.Pair[int, int] { return rdd.KV(i, i) }), rdd.Partitions(4))
		}
		if got := describe(scheduler.Cut(1, c.build(spread(), spread()), nil)); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}
