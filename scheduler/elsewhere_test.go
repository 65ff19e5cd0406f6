package scheduler

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// A task is told of the cached partitions that it reads, as far as its executor holds none
// and another one does; of nothing above them, and of nothing behind a shuffle.
func TestElsewhere(t *testing.T) {
	sc := rdd.NewContext(lineage.NewLineage(7, 2), nil)
	plus := func(v int) int { return v + 1 }
	source := rdd.Parallelize(sc, []int{1, 2, 3, 4}, rdd.Partitions(4)).Cache() // 0.0
	above := rdd.Map(source, plus).Cache()                                      // 0.1
	below := rdd.Map(above, plus)
	state := rdd.Map(source, plus).Persist(task.Pinned)
	varying := source.Indeterminate().Cache()
	stated, varied := rdd.Map(state, plus), rdd.Map(varying, plus)
	shuffled := source.Repartition(4)
	type held struct {
		r  *rdd.RDD[int]
		at string // of each partition, a letter for an executor, - for none
	}
	for name, c := range map[string]struct {
		held []held
		r    *rdd.RDD[int]
		p    int
		want string // for a task on x
	}{
		"nothing":             {nil, below, 0, ""},
		"another partition":   {[]held{{above, "-a--"}}, below, 0, ""},
		"here":                {[]held{{above, "xa--"}}, below, 0, ""},
		"elsewhere":           {[]held{{above, "aa--"}}, below, 0, "a: 0.1/0"},
		"itself":              {[]held{{above, "aa--"}}, above, 1, "a: 0.1/1"},
		"here and there":      {[]held{{above, "ax--"}, {above, "xa--"}}, below, 0, ""},
		"the newest":          {[]held{{above, "a---"}, {above, "b---"}}, below, 0, "b: 0.1/0; a: 0.1/0"},
		"the newest two":      {[]held{{above, "a---"}, {above, "b---"}, {above, "c---"}}, below, 0, "c: 0.1/0; b: 0.1/0"},
		"above what is held":  {[]held{{above, "a---"}, {source, "b---"}}, below, 0, "a: 0.1/0"},
		"above what is here":  {[]held{{above, "x---"}, {source, "b---"}}, below, 0, ""},
		"above what isn't":    {[]held{{above, "-a--"}, {source, "bb--"}}, below, 0, "b: 0.0/0"},
		"several":             {[]held{{above, "axab"}}, below.Coalesce(1), 0, "b: 0.1/3; a: 0.1/2 0.1/0"},
		"some of several":     {[]held{{above, "axab"}}, below.Coalesce(2), 1, "b: 0.1/3; a: 0.1/2"},
		"once":                {[]held{{above, "a---"}}, below.Union(above, below), 0, "a: 0.1/0"},
		"the second of two":   {[]held{{above, "a---"}}, below.Union(above), 4, "a: 0.1/0"},
		"a state":             {[]held{{state, "a---"}}, state, 0, ""},
		"above a state":       {[]held{{state, "x---"}, {source, "b---"}}, stated, 0, ""},
		"above one not sent":  {[]held{{state, "a---"}, {source, "b---"}}, stated, 0, "b: 0.0/0"},
		"what may be another": {[]held{{varying, "a---"}}, varying, 0, ""},
		"above one here":      {[]held{{varying, "x---"}, {source, "b---"}}, varied, 0, ""},
		"above another":       {[]held{{varying, "a---"}, {source, "b---"}}, varied, 0, "b: 0.0/0"},
		"behind a shuffle":    {[]held{{source, "aaaa"}}, shuffled, 0, ""},
	} {
		b := NewBlocks()
		for _, h := range c.held {
			for p, x := range h.at {
				if x != '-' {
					b.Add(string(x), []StoredBlock{{Block: blockOf(h.r.Node(), p), Level: 1}})
				}
			}
		}
		var got []string
		for _, h := range b.elsewhere("x", c.r.Node(), c.p) {
			var blocks []string
			for _, b := range h.Blocks {
				blocks = append(blocks, fmt.Sprintf("%d.%d/%d", b.DStream, b.Ordinal, b.Partition))
			}
			got = append(got, h.Executor+": "+strings.Join(blocks, " "))
		}
		if got := strings.Join(got, "; "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
