package scheduler

import (
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// A task that reads several cached partitions goes where most of them are, or the newest; one
// that reads a state goes where that is, and nowhere else.
func TestNearest(t *testing.T) {
	type held struct {
		at     []string // of each partition; nil for nothing
		pinned bool
	}
	for name, c := range map[string]struct {
		parents []held // the oldest first
		want    []string
		bound   bool
	}{
		"nothing":               {[]held{{}, {}}, nil, false},
		"one":                   {[]held{{}, {at: []string{"a", "b"}}}, []string{"a", "b"}, false},
		"most":                  {[]held{{at: []string{"a", "b"}}, {at: []string{"a", "a"}}, {at: []string{"b", "b"}}}, []string{"a", "b"}, false},
		"the newest of as many": {[]held{{at: []string{"a", "b"}}, {at: []string{"b", "a"}}}, []string{"b", "a"}, false},
		"where there are some":  {[]held{{at: []string{"a", ""}}, {at: []string{"", "b"}}}, []string{"a", "b"}, false},
		"a state":               {[]held{{at: []string{"a", "a"}}, {at: []string{"b", "c"}, pinned: true}, {at: []string{"a", "a"}}}, []string{"b", "c"}, true},
	} {
		sc := rdd.NewContext(lineage.NewLineage(7, 2), nil)
		keyed := rdd.ReduceByKey(rdd.Parallelize(sc, []rdd.Pair[int, int]{rdd.KV(1, 1)}), func(a, b int) int { return a + b }, rdd.Partitions(2))
		var all []*rdd.RDD[rdd.Pair[int, int]]
		b := NewBlocks()
		for _, h := range c.parents {
			r := rdd.MapValues(keyed, func(v int) int { return v }).Cache()
			r.Node().Pinned = h.pinned
			for p, at := range h.at {
				if at != "" {
					n := r.Node()
					b.Add(at, []StoredBlock{{Block: task.Block{DStream: n.ID.DStream, Ordinal: n.ID.Ordinal, Batch: n.ID.Batch, Partition: int32(p)}, Level: 1, Bytes: 10}})
				}
			}
			all = append(all, r)
		}
		of := rdd.MapValues(all[0].Union(all[1:]...), func(v int) int { return v })
		if got, bound := b.nearest(of.Node()); !slices.Equal(got, c.want) || bound != c.bound {
			t.Errorf("%s: %q, bound %v; want %q, %v", name, got, bound, c.want, c.bound)
		}
	}
}
