package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

// Parity edge 10: first windows are partial, output at multiples of the slide only, also
// after the input ended; a slide longer than the window leaves batches out.
func TestWindow(t *testing.T) {
	input := [][]int{{1}, {2}, {3}, {4}, {5}, {6}}
	for name, c := range map[string]struct {
		length, slide time.Duration
		want          [][]int
	}{
		"every batch":     {3, 1, [][]int{{1}, {1, 2}, {1, 2, 3}, {2, 3, 4}, {3, 4, 5}, {4, 5, 6}, {5, 6}, {6}, {}}},
		"every other":     {3, 2, [][]int{nil, {1, 2}, nil, {2, 3, 4}, nil, {4, 5, 6}, nil, {6}}},
		"tumbling":        {2, 2, [][]int{nil, {1, 2}, nil, {3, 4}, nil, {5, 6}, nil, {}}},
		"longer slide":    {1, 3, [][]int{nil, nil, {3}, nil, nil, {6}}},
		"one batch":       {1, 1, [][]int{{1}, {2}, {3}, {4}, {5}, {6}}},
		"longer than all": {100, 1, [][]int{{1}, {1, 2}, {1, 2, 3}, {1, 2, 3, 4}, {1, 2, 3, 4, 5}, {1, 2, 3, 4, 5, 6}}},
	} {
		t.Run(name, func(t *testing.T) {
			enginetest.Operation(t, input, func(in *engine.DStream[int]) *engine.DStream[int] {
				return in.Window(c.length*time.Second, c.slide*time.Second)
			}, c.want)
		})
	}
}

// Windows of windows, and what is made of windows, reach back as far as all of them
// together.
func TestNestedWindows(t *testing.T) {
	input := [][]int{{1}, {2}, {3}, {4}, {5}, {6}, {7}}
	enginetest.Operation(t, input, func(in *engine.DStream[int]) *engine.DStream[int] {
		return engine.Map(in.Window(2*time.Second, time.Second), double).Window(4*time.Second, 2*time.Second)
	}, [][]int{nil, {2, 2, 4}, nil, {2, 2, 4, 4, 6, 6, 8}, nil, {4, 6, 6, 8, 8, 10, 10, 12}, nil, {8, 10, 10, 12, 12, 14, 14}})
}

func TestWindowedOperators(t *testing.T) {
	type pair = rdd.Pair[string, int]
	words := [][]string{{"a", "b", "a"}, {"b"}, {}, {"c", "a"}, {}}
	const length, slide = 3 * time.Second, time.Second
	ones := func(in *engine.DStream[string]) *engine.DStream[pair] {
		return engine.Map(in, func(w string) pair { return rdd.KV(w, 1) })
	}
	plus := func(a, b int) int { return a + b }
	t.Run("countByWindow", func(t *testing.T) {
		enginetest.Operation(t, words, func(in *engine.DStream[string]) *engine.DStream[int64] {
			return engine.CountByWindow(in, length, slide)
		}, [][]int64{{3}, {4}, {4}, {3}, {2}, {2}, {0}, {0}})
	})
	t.Run("reduceByWindow", func(t *testing.T) {
		enginetest.Operation(t, words, func(in *engine.DStream[string]) *engine.DStream[string] {
			return engine.ReduceByWindow(in, func(a, b string) string { return max(a, b) }, length, slide)
		}, [][]string{{"b"}, {"b"}, {"b"}, {"c"}, {"c"}, {"c"}, {}})
	})
	t.Run("reduceByKeyAndWindow", func(t *testing.T) {
		enginetest.Operation(t, words, func(in *engine.DStream[string]) *engine.DStream[pair] {
			return engine.ReduceByKeyAndWindow(ones(in), plus, length, slide)
		}, [][]pair{{rdd.KV("a", 2), rdd.KV("b", 1)}, {rdd.KV("a", 2), rdd.KV("b", 2)}, {rdd.KV("a", 2), rdd.KV("b", 2)}, {rdd.KV("b", 1), rdd.KV("c", 1), rdd.KV("a", 1)}, {rdd.KV("c", 1), rdd.KV("a", 1)}, {rdd.KV("c", 1), rdd.KV("a", 1)}, {}})
	})
	t.Run("groupByKeyAndWindow", func(t *testing.T) {
		type group = rdd.Pair[string, []int]
		input := [][]pair{{rdd.KV("a", 1), rdd.KV("a", 2)}, {rdd.KV("b", 3)}, {rdd.KV("a", 4)}}
		enginetest.Operation(t, input, func(in *engine.DStream[pair]) *engine.DStream[group] {
			return engine.GroupByKeyAndWindow(in, 2*time.Second, time.Second)
		}, [][]group{{rdd.KV("a", []int{1, 2})}, {rdd.KV("a", []int{1, 2}), rdd.KV("b", []int{3})}, {rdd.KV("b", []int{3}), rdd.KV("a", []int{4})}, {rdd.KV("a", []int{4})}, {}})
	})
	t.Run("countByValueAndWindow", func(t *testing.T) {
		type count = rdd.Pair[string, int64]
		enginetest.Operation(t, words, func(in *engine.DStream[string]) *engine.DStream[count] {
			return engine.CountByValueAndWindow(in, 2*time.Second, 2*time.Second)
		}, [][]count{nil, {{Key: "a", Value: 2}, {Key: "b", Value: 2}}, nil, {{Key: "c", Value: 1}, {Key: "a", Value: 1}}, nil, {}})
	})
}

func TestErrorsOfWindows(t *testing.T) {
	for name, c := range map[string]struct {
		op   func(in *engine.DStream[int]) *engine.DStream[int]
		says error
	}{
		"no length": {func(in *engine.DStream[int]) *engine.DStream[int] { return in.Window(0, time.Second) }, engine.ErrWindow},
		"odd length": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return in.Window(1500*time.Millisecond, time.Second)
		}, engine.ErrWindow},
		"odd slide": {func(in *engine.DStream[int]) *engine.DStream[int] { return in.Window(2*time.Second, time.Millisecond) }, engine.ErrWindow},
		"below slide": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return in.Window(2*time.Second, 2*time.Second).Window(3*time.Second, time.Second)
		}, engine.ErrWindow},
		"two slides": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return in.Window(2*time.Second, 2*time.Second).Union(in)
		}, engine.ErrSlides},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := enginetest.Run(t, [][]int{{1}}, 1, c.op); !errors.Is(err, c.says) || !errors.Is(err, engine.ErrBuild) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A time at which a window ends is never skipped when something was read since the last
// one: with tumbling windows each record is in one of them, whatever is late.
func TestWindowEndsAreNotSkipped(t *testing.T) {
	var seen []string
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := engine.NewApp("test").Run(context.Background(), []string{"--log-level", "error"}, time.Second, func(ssc *engine.StreamingContext) error {
			in := enginetest.Queue(ssc, [][]int{{1}, {2}, {3}, {4}, {5}}, 1)
			engine.ForEachBatch(in, func(b engine.Batch, rows []int) error {
				if b.Seq == 3 {
					time.Sleep(4200 * time.Millisecond) // past 4 s and 6 s
				}
				return nil
			})
			engine.ForEachBatch(in.Window(2*time.Second, 2*time.Second), func(b engine.Batch, rows []int) error {
				seen = append(seen, fmt.Sprintf("%s: %v", b.Time.Sub(began), rows))
				if b.Seq >= 6 {
					ssc.Stop()
				}
				return nil
			})
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	want := []string{"2s: [1 2]", "4s: [3 4]", "8s: [5]"}
	if !slices.Equal(seen, want) {
		t.Errorf("%q, want %q", seen, want)
	}
}

// With --until-end the windows are closed that hold what came last.
func TestLastWindowIsClosed(t *testing.T) {
	var seen []string
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(100 * time.Millisecond)
		err := engine.NewApp("test").Run(context.Background(), []string{"--log-level", "error", "--until-end"}, time.Second, func(ssc *engine.StreamingContext) error {
			in := enginetest.Queue(ssc, [][]int{{1}, {2}, {3}}, 1)
			engine.ForEachBatch(in.Window(10*time.Second, 5*time.Second), func(b engine.Batch, rows []int) error {
				seen = append(seen, fmt.Sprintf("%s %v", b.Time.Format("05.00"), rows))
				return nil
			})
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	if want := []string{"05.00 [1 2 3]"}; !slices.Equal(seen, want) {
		t.Errorf("%q, want %q", seen, want)
	}
}
