package rdd

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// What several RDDs are grouped to comes out of files as out of memory: the same keys in
// the same order, with the values of each in theirs.
func TestSpilledPairsAreAsInMemory(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	sc := NewContext(lineage.NewLineage(0, 1), nil)
	source := func(n, keys int) *RDD[Pair[string, int]] {
		rows := make([]Pair[string, int], n)
		for i := range rows {
			rows[i] = KV(fmt.Sprintf("key-%d", rng.IntN(keys)), i)
		}
		r := Source(sc, "rows", lineage.Site{}, 1, func(tc *task.Context, _ int) iter.Seq2[Pair[string, int], error] { return Elements(tc, rows) })
		r.node.Partitioner = HashPartitioner{1} // nothing is moved: all is in the task
		return r
	}
	a, b, c := source(15_000, 6_000), source(12_000, 9_000), source(6_000, 12_000)
	add := func(all []int, v int) []int { return append(all, v) }
	for name, run := range map[string]func(tc *task.Context) (string, error){
		"cogroup":       func(tc *task.Context) (string, error) { return text(Cogroup3(a, b, c).Compute(tc, 0)) },
		"fullOuterJoin": func(tc *task.Context) (string, error) { return text(FullOuterJoin(a, b).Compute(tc, 0)) },
		"subtractByKey": func(tc *task.Context) (string, error) { return text(SubtractByKey(a, b).Compute(tc, 0)) },
		"aggregateByKey": func(tc *task.Context) (string, error) {
			return text(AggregateByKey(a, []int{}, add, joinedValues[int]).Compute(tc, 0))
		},
	} {
		want, err := run(taskWith(t, nil))
		if err != nil {
			t.Fatal(err)
		}
		m := &smallMemory{limit: reserveStep + 1}
		if got, err := run(taskWith(t, m)); err != nil || got != want {
			t.Errorf("%s differs: %v", name, err)
		}
		if m.made < 2 || m.open != 0 || m.held != 0 {
			t.Errorf("%s: %d runs made, %d left, %d bytes held", name, m.made, m.open, m.held)
		}
	}
}
