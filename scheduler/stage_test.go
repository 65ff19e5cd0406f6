package scheduler_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/scheduler"
)

// numbers returns a lineage and a source of n partitions in it, made for a DStream.
func numbers(dstream int32, n int) (*rdd.Context, *rdd.RDD[int]) {
	l := rdd.NewContext(lineage.NewLineage(1, 2), nil)
	var r *rdd.RDD[int]
	l.Lineage().In(1, dstream, lineage.Site{}, func() { r = rdd.Parallelize(l, make([]int, n), rdd.Partitions(n)) })
	return l, r
}

func describe(stages []scheduler.Stage) string {
	var lines []string
	for _, s := range stages {
		line := fmt.Sprintf("%d %s of %s: %d partitions, reads %v, input %d.%d", s.ID, s.Kind, s.Node.Op, s.Partitions, s.Parents, s.Input.DStream, s.Input.Ordinal)
		if s.Indeterminate {
			line += ", indeterminate"
		}
		if len(s.Cached) > 0 {
			var ops []string
			for _, n := range s.Cached {
				ops = append(ops, n.Op)
			}
			line += fmt.Sprintf(", cached %v, spares %v", ops, s.Spare)
		}
		if (s.Shuffle != nil) != (s.Kind == scheduler.ShuffleMap) || s.Shuffle != nil && s.Shuffle.ID != int(s.ID) {
			line += ", with the wrong shuffle"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestCut(t *testing.T) {
	same := func(v int) int { return v }
	tests := []struct {
		name  string
		build func(l *rdd.Context, r *rdd.RDD[int]) *lineage.Node
		want  string
	}{
		{"narrow", func(_ *rdd.Context, r *rdd.RDD[int]) *lineage.Node { return rdd.Map(r, same).Filter(nil).Node() },
			"-2 result of filter: 3 partitions, reads [], input 9.0"},
		{"one shuffle", func(_ *rdd.Context, r *rdd.RDD[int]) *lineage.Node {
			return rdd.Map(rdd.CountedByValue(rdd.Map(r, same), rdd.Partitions(4)), func(rdd.Pair[int, int64]) int { return 0 }).Node()
		},
			"0 shuffle-map of map: 3 partitions, reads [], input 9.0\n" +
				"-2 result of map: 4 partitions, reads [0], input 0.2"},
		{"two in a row", func(_ *rdd.Context, r *rdd.RDD[int]) *lineage.Node {
			return rdd.Counted(rdd.CountedByValue(r, rdd.Partitions(4))).Node()
		},
			"0 shuffle-map of map: 3 partitions, reads [], input 9.0\n" +
				"1 shuffle-map of countByValue: 4 partitions, reads [0], input 0.1\n" +
				"-2 result of count: 1 partitions, reads [1], input 0.2"},
		{"diamond", func(_ *rdd.Context, r *rdd.RDD[int]) *lineage.Node {
			c := rdd.CountedByValue(r, rdd.Partitions(2))
			return c.Union(c.Filter(nil), rdd.Map(c, func(p rdd.Pair[int, int64]) rdd.Pair[int, int64] { return p })).Node()
		},
			"0 shuffle-map of map: 3 partitions, reads [], input 9.0\n" +
				"-2 result of union: 6 partitions, reads [0], input 0.4"},
		{"union of shuffles and a source", func(_ *rdd.Context, r *rdd.RDD[int]) *lineage.Node {
			return rdd.Counted(r).Union(rdd.Counted(r)).Union(rdd.Map(r, func(int) int64 { return 0 })).Node()
		},
			"0 shuffle-map of parallelize: 3 partitions, reads [], input 9.0\n" +
				"1 shuffle-map of parallelize: 3 partitions, reads [], input 9.0\n" +
				"-2 result of union: 5 partitions, reads [0 1], input 0.4"},
		{"indeterminate", func(_ *rdd.Context, r *rdd.RDD[int]) *lineage.Node {
			r.Node().Indeterminate = true
			return rdd.Counted(r).Node()
		},
			"0 shuffle-map of parallelize: 3 partitions, reads [], input 9.0, indeterminate\n" +
				"-2 result of count: 1 partitions, reads [0], input 0.0, indeterminate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, r := numbers(9, 3)
			if got := describe(scheduler.Cut(1, tt.build(l, r), nil)); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// Two outputs that share a shuffle have equal map stages for it.
func TestCutIsTheSameForSharedShuffles(t *testing.T) {
	_, r := numbers(1, 3)
	counts := rdd.CountedByValue(r, rdd.Partitions(2))
	first, second := scheduler.Cut(0, counts.Node(), nil), scheduler.Cut(1, rdd.Counted(counts).Node(), nil)
	if a, b := describe(first[:1]), describe(second[:1]); a != b {
		t.Errorf("%s\n%s", a, b)
	}
}

// A long chain of RDDs neither overflows nor takes quadratic time.
func TestCutLongLineage(t *testing.T) {
	_, r := numbers(1, 2)
	for range 10_000 {
		r = rdd.Map(r, func(v int) int { return v })
	}
	for range 200 {
		r = rdd.Map(rdd.Counted(r), func(n int64) int { return int(n) })
	}
	stages := scheduler.Cut(0, r.Node(), nil)
	if len(stages) != 201 || stages[0].ID != 0 || stages[200].Kind != scheduler.Result {
		t.Errorf("%d stages", len(stages))
	}
}

func TestTaskID(t *testing.T) {
	m := scheduler.TaskID{Batch: 7, Stage: scheduler.MapStage(2), Partition: 3, Attempt: 1}
	if id, ok := m.Shuffle(); id != 2 || !ok {
		t.Errorf("shuffle %d, %v", id, ok)
	}
	if _, ok := m.Output(); ok {
		t.Error("a map task has an output")
	}
	r := scheduler.TaskID{Batch: 7, Stage: scheduler.ResultStage(2)}
	if id, ok := r.Output(); id != 2 || !ok {
		t.Errorf("output %d, %v", id, ok)
	}
	if _, ok := r.Shuffle(); ok {
		t.Error("a result task has a shuffle")
	}
	if got, want := m.String()+"; "+r.String(), "batch 7, shuffle-map stage 2, partition 3, attempt 1; batch 7, result stage of output 2, partition 0, attempt 0"; got != want {
		t.Error(got)
	}
	m.Batch, r.Batch = 0, 0 // of a batch program
	if got, want := m.String()+"; "+r.String(), "shuffle-map stage 2, partition 3, attempt 1; result stage of step 2, partition 0, attempt 0"; got != want {
		t.Error(got)
	}
}
