package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/rdd"
)

// edge is a case that re-implementations of streams get wrong, by its number among those that
// are listed. What op makes of the input is wanted: a line for each batch, its elements in
// order; "-" where the output doesn't run, "" where it is given nothing.
type edge struct {
	name  string
	input [][]int
	op    func(in *engine.DStream[int], s time.Duration) *engine.DStream[string] // s is the batch interval
	want  []string
}

func text[T any](d *engine.DStream[T]) *engine.DStream[string] {
	return engine.Map(d, func(v T) string { return fmt.Sprint(v) })
}

// tens gives each number the key that is its tens.
func tens(in *engine.DStream[int]) *engine.DStream[rdd.Pair[int, int]] {
	return engine.Map(in, func(v int) rdd.Pair[int, int] { return rdd.KV(v/10, v%10) })
}

func minus(a, b int) int { return a - b }

// sum adds the values of a key to what it had.
func sum(_ int, values []int, old rdd.Option[int]) rdd.Option[int] {
	for _, v := range values {
		old.Value += v
	}
	return rdd.Some(old.Value)
}

var oneToSix = [][]int{{1}, {2}, {3}, {4}, {5}, {6}, {}, {}, {}}

// keyed are pairs of two keys, and batches without any.
var keyed = [][]int{{11, 12}, {21}, {}, {13}, {}, {}}

var edges = []edge{
	{"edge 10: the first windows are partial, the last ones come after the input", oneToSix,
		func(in *engine.DStream[int], s time.Duration) *engine.DStream[string] {
			return text(in.Window(3*s, 2*s))
		},
		[]string{"-", "1 2", "-", "2 3 4", "-", "4 5 6", "-", "6", "-"}},
	{"edge 10: a slide longer than the window skips batches", oneToSix,
		func(in *engine.DStream[int], s time.Duration) *engine.DStream[string] { return text(in.Window(s, 3*s)) },
		[]string{"-", "-", "3", "-", "-", "6", "-", "-", ""}},
	{"edge 10: what is remembered adds up over windows of windows", oneToSix,
		func(in *engine.DStream[int], s time.Duration) *engine.DStream[string] {
			return text(engine.Reduce(in.Window(2*s, s), add).Window(4*s, 2*s))
		},
		[]string{"-", "1 3", "-", "1 3 5 7", "-", "11 5 7 9", "-", "11 6 9", "-"}},
	{"edge 11: without a filter an inverse window keeps keys at 0", keyed,
		func(in *engine.DStream[int], s time.Duration) *engine.DStream[string] {
			return text(engine.ReduceByKeyAndWindowInverse(tens(in), "all", add, minus, 2*s, s, nil))
		},
		[]string{"{1 3}", "{1 3} {2 1}", "{1 0} {2 1}", "{1 3} {2 0}", "{1 3} {2 0}", "{1 0} {2 0}"}},
	{"edge 11: with a filter it drops them", keyed,
		func(in *engine.DStream[int], s time.Duration) *engine.DStream[string] {
			return text(engine.ReduceByKeyAndWindowInverse(tens(in), "some", add, minus, 2*s, s, func(p rdd.Pair[int, int]) bool { return p.Value != 0 }))
		},
		[]string{"{1 3}", "{1 3} {2 1}", "{2 1}", "{1 3}", "{1 3}", ""}},
	{"edge 11: countByWindow counts 0", keyed,
		func(in *engine.DStream[int], s time.Duration) *engine.DStream[string] {
			return text(engine.CountByWindow(in, 2*s, s))
		},
		[]string{"2", "3", "1", "1", "1", "0"}},
	{"edge 11: countByValueAndWindow drops zeros", keyed,
		func(in *engine.DStream[int], s time.Duration) *engine.DStream[string] {
			return text(engine.CountByValueAndWindow(in, 2*s, s))
		},
		[]string{"{11 1} {12 1}", "{11 1} {12 1} {21 1}", "{21 1}", "{13 1}", "{13 1}", ""}},
	{"edge 12: an empty batch counts 0", keyed,
		func(in *engine.DStream[int], _ time.Duration) *engine.DStream[string] { return text(engine.Count(in)) },
		[]string{"2", "1", "0", "1", "0", "0"}},
	{"edge 12: an empty batch reduces to nothing, and the output runs", keyed,
		func(in *engine.DStream[int], _ time.Duration) *engine.DStream[string] {
			return text(engine.Reduce(in, add))
		},
		[]string{"23", "21", "", "13", "", ""}},
	{"edge 12: a join with an empty batch has none of its keys, an outer join has them", keyed,
		func(in *engine.DStream[int], _ time.Duration) *engine.DStream[string] {
			left := tens(in)
			right := tens(in.Filter(func(v int) bool { return v > 12 }))
			return text(engine.Join(left, right)).Union(text(engine.LeftOuterJoin(left, right)))
		},
		[]string{"{1 {1 None}} {1 {2 None}}", "{2 {1 1}} {2 {1 Some(1)}}", "", "{1 {3 3}} {1 {3 Some(3)}}", "", ""}},
	{"edge 12: streams that slide alike are joined where they have batches", oneToSix,
		func(in *engine.DStream[int], s time.Duration) *engine.DStream[string] {
			long, short := engine.KeyBy(in.Window(4*s, 2*s), even), engine.KeyBy(in.Window(2*s, 2*s), even)
			return text(engine.Cogroup(long, short, rdd.Partitions(1)))
		},
		[]string{"-", "{false {[1] [1]}} {true {[2] [2]}}", "-", "{false {[1 3] [3]}} {true {[2 4] [4]}}", "-",
			"{false {[3 5] [5]}} {true {[4 6] [6]}}", "-", "{false {[5] []}} {true {[6] []}}", "-"}},
	{"edge 12: updateStateByKey runs for every key in a batch without data", keyed,
		func(in *engine.DStream[int], _ time.Duration) *engine.DStream[string] {
			return text(engine.UpdateStateByKey(tens(in), "calls", func(_ int, values []int, calls rdd.Option[int]) rdd.Option[int] {
				return rdd.Some(calls.Value + 1)
			}))
		},
		[]string{"{1 1}", "{1 2} {2 1}", "{1 3} {2 2}", "{1 4} {2 3}", "{1 5} {2 4}", "{1 6} {2 5}"}},
	{"edge 13: updateStateByKey emits every key, initial ones from batch 1", keyed,
		func(in *engine.DStream[int], _ time.Duration) *engine.DStream[string] {
			return text(engine.UpdateStateByKey(tens(in), "sums", sum, engine.InitialState([]rdd.Pair[int, int]{rdd.KV(2, 5), rdd.KV(9, 9)})))
		},
		[]string{"{1 3} {2 5} {9 9}", "{1 3} {2 6} {9 9}", "{1 3} {2 6} {9 9}", "{1 6} {2 6} {9 9}", "{1 6} {2 6} {9 9}", "{1 6} {2 6} {9 9}"}},
	{"edge 13: mapWithState is called for each record and emits keys with data only", keyed,
		func(in *engine.DStream[int], _ time.Duration) *engine.DStream[string] {
			return engine.MapWithState(tens(in), "mapped", mapped)
		},
		[]string{"1=1 1=3", "2=1", "", "1=6", "", ""}},
	{"edge 13: its snapshots hold all keys", keyed,
		func(in *engine.DStream[int], _ time.Duration) *engine.DStream[string] {
			engine.MapWithState(tens(in), "shown", mapped)
			return text(engine.StateSnapshots[int, int](in.Context(), "shown"))
		},
		[]string{"{1 3}", "{1 3} {2 1}", "{1 3} {2 1}", "{1 6} {2 1}", "{1 6} {2 1}", "{1 6} {2 1}"}},
	{"edge 13: a timeout is reported once, without a value, in the first batch after it", append(slices.Clone(keyed), nil, nil),
		func(in *engine.DStream[int], s time.Duration) *engine.DStream[string] {
			return engine.MapWithState(tens(in), "timed", mapped, engine.Timeout(2*s))
		},
		[]string{"1=1 1=3", "2=1", "1 ends with 3", "1=3 2 ends with 1", "", "1 ends with 3", "", ""}},
	{"edge 16: countByValue takes NaN as one value", [][]int{{0, 1, 0}},
		func(in *engine.DStream[int], _ time.Duration) *engine.DStream[string] {
			return text(engine.CountByValue(engine.Map(in, func(v int) float64 {
				if v == 0 {
					return math.NaN()
				}
				return 1
			})))
		},
		[]string{"{1 1} {NaN 2}"}},
}

func even(v int) bool { return v%2 == 0 }

// mapped adds up the values of a key.
func mapped(key int, value *int, s *engine.State[int]) (string, bool) {
	sum, _ := s.Get()
	if value == nil {
		return fmt.Sprint(key, " ends with ", sum), true
	}
	s.Update(sum + *value)
	return fmt.Sprint(key, "=", sum+*value), true
}

// edgesRun are the edges in one program, and what a run of it brought.
type edgesRun struct {
	interval time.Duration
	phase    int // of the first batch's time: windows end at multiples of their slide
	seen     []map[uint64]string
}

// phases is how many intervals all slides of the edges divide.
const phases = 6

func newEdgesRun(interval time.Duration) *edgesRun {
	r := &edgesRun{interval: interval}
	for range edges {
		r.seen = append(r.seen, make(map[uint64]string))
	}
	return r
}

// build declares the edges, each with an input of its own.
func (r *edgesRun) build(ssc *engine.StreamingContext) error {
	for i, e := range edges {
		out := e.op(enginetest.Queue(ssc, e.input, 2).Named(e.name), r.interval)
		engine.ForEachBatch(out.Named(e.name), func(b engine.Batch, rows []string) error {
			slices.Sort(rows)
			r.seen[i][b.Seq] = strings.Join(rows, " ")
			return nil
		})
	}
	engine.ForEachBatch(enginetest.Queue(ssc, oneToSix, 1), func(b engine.Batch, _ []int) error {
		if b.Seq == 1 {
			r.phase = int(b.Time.UnixNano()/int64(r.interval)) % phases
		}
		return nil
	})
	return nil
}

// got returns what an edge brought.
func (r *edgesRun) got(i int) (lines []string) {
	for seq := range edges[i].want {
		line, ran := r.seen[i][uint64(seq+1)]
		if !ran {
			line = "-"
		}
		lines = append(lines, line)
	}
	return lines
}

// edgesLocally runs the edges in local mode, in virtual time, with a first batch of a phase.
func edgesLocally(t *testing.T, phase int) *edgesRun {
	r := newEdgesRun(time.Second)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Duration((phase+phases-1)%phases) * time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := engine.NewApp("edges").Run(ctx, []string{"--master", "local[2]", "--log-level", "error", "--until-end"}, time.Second, r.build); err != nil {
			t.Error(err)
		}
	})
	return r
}

// What re-implementations get wrong, by the number of the edge, in local mode and on executor
// processes. One program holds all, read until its end, so that batches have no gaps.
func TestEdges(t *testing.T) {
	cluster := newEdgesRun(enginetest.ClusterInterval)
	var err error
	if os.Getenv(role.Env) != "" || !testing.Short() {
		err = enginetest.OnCluster(t, cluster.build, "--until-end")
	}
	if err != nil {
		t.Fatal(err)
	}
	local, alike := edgesLocally(t, 1), edgesLocally(t, cluster.phase)
	if local.phase != 1 || alike.phase != cluster.phase {
		t.Fatalf("the first batches are %d and %d of %d, want 1 and %d", local.phase, alike.phase, phases, cluster.phase)
	}
	for i, e := range edges {
		t.Run(e.name, func(t *testing.T) {
			if got := local.got(i); !slices.Equal(got, e.want) {
				t.Errorf("local mode:\n got %q\nwant %q", got, e.want)
			}
			if got, want := cluster.got(i), alike.got(i); !slices.Equal(got, want) {
				t.Errorf("executor processes:\n got %q\nwant %q", got, want)
			}
		})
	}
}

// Edges that are errors: at the build, or of the batch.
func TestEdgesThatAreErrors(t *testing.T) {
	broken := errors.New("the screen is gone")
	for name, c := range map[string]struct {
		op   func(in *engine.DStream[int]) *engine.DStream[int]
		is   error
		says string
	}{
		"edge 10: a length that is no multiple of the interval": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return in.Window(2500*time.Millisecond, time.Second)
		}, engine.ErrWindow, "multiple of 1s"},
		"edge 10: a slide that is no multiple of the parent's": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return in.Window(2*time.Second, 2*time.Second).Window(6*time.Second, 3*time.Second)
		}, engine.ErrWindow, "multiple of 2s"},
		"edge 12: a union of streams that slide differently": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return in.Union(in.Window(2*time.Second, 2*time.Second))
		}, engine.ErrSlides, "give their windows one slide"},
		"edge 12: a join of streams that slide differently": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return engine.Keys(engine.Join(tens(in), tens(in.Window(4*time.Second, 2*time.Second))))
		}, engine.ErrSlides, "give their windows one slide"},
		"edge 12: a cogroup of streams that slide differently": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return engine.Keys(engine.Cogroup3(tens(in), tens(in), tens(in.Window(3*time.Second, 3*time.Second))))
		}, engine.ErrSlides, "give their windows one slide"},
		"edge 13: an update of a state that is timing out": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return engine.MapWithState(tens(in), "late", func(_ int, v *int, s *engine.State[int]) (int, bool) {
				s.Update(1)
				return 0, true
			}, engine.Timeout(time.Second))
		}, engine.ErrState, "key 1"},
		"edge 13: a removal of a state that is timing out": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return engine.MapWithState(tens(in), "late", func(_ int, v *int, s *engine.State[int]) (int, bool) {
				if v == nil {
					s.Remove()
				} else {
					s.Update(1)
				}
				return 0, true
			}, engine.Timeout(time.Second))
		}, engine.ErrState, "key 1"},
		"edge 16: an output that fails ends the job": {func(in *engine.DStream[int]) *engine.DStream[int] {
			engine.ForEachBatch(in, func(b engine.Batch, _ []int) error {
				if b.Seq == 2 {
					return broken
				}
				return nil
			})
			return in
		}, broken, "batch 2, output forEachBatch"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := enginetest.Run(t, [][]int{{11}}, 5, c.op); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
}
