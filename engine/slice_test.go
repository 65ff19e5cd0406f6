package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

// slicesOf declares a stream of what d has in the times from until to before each batch's.
func slicesOf[T any](in *engine.DStream[int], d *engine.DStream[T], from, to time.Duration) *engine.DStream[T] {
	return engine.Transform(in, func(b engine.Batch, _ *rdd.RDD[int]) *rdd.RDD[T] {
		return rdd.Parallelize[T](b.RDDs(), nil).Union(d.Slice(b, b.Time.Add(-from), b.Time.Add(-to))...)
	})
}

// A slice has the batches of both its ends, and those that the job had.
func TestSlice(t *testing.T) {
	input := [][]int{{1}, {2}, {3}, {}, {5}}
	for name, c := range map[string]struct {
		op   func(in *engine.DStream[int]) *engine.DStream[int]
		want [][]int
	}{
		"the batch itself": {func(in *engine.DStream[int]) *engine.DStream[int] { return slicesOf(in, in, 0, 0) }, input},
		"both ends": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return slicesOf(in, in, 2*time.Second, time.Second)
		}, [][]int{{}, {1}, {1, 2}, {2, 3}, {3}}},
		"between batches": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return slicesOf(in, in, 2500*time.Millisecond, 500*time.Millisecond)
		}, [][]int{{}, {1}, {1, 2}, {2, 3}, {3}}},
		"what is to come": {func(in *engine.DStream[int]) *engine.DStream[int] { return slicesOf(in, in, time.Second, -time.Hour) }, [][]int{{1}, {1, 2}, {2, 3}, {3}, {5}}},
		"the other way":   {func(in *engine.DStream[int]) *engine.DStream[int] { return slicesOf(in, in, time.Second, time.Hour) }, [][]int{{}, {}, {}, {}, {}}},
		"of what is derived": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return slicesOf(in, engine.Reduce(in.Window(2*time.Second, time.Second), add).Cache(), 2*time.Second, 2*time.Second)
		}, [][]int{{}, {}, {1}, {3}, {5}}},
		"of a state": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return slicesOf(in, totalOf(in), 2*time.Second, time.Second)
		}, [][]int{{}, {1}, {1, 3}, {3, 6}, {6, 6}, {6, 11}, {11, 11}, {11, 11}, {11, 11}, {11, 11}, {11, 11}, {11, 11}, {11, 11}, {11, 11}, {11, 11}}},
	} {
		t.Run(name, func(t *testing.T) {
			enginetest.Operation(t, input, func(in *engine.DStream[int]) *engine.DStream[int] {
				in.Context().Remember(3 * time.Second)
				return c.op(in)
			}, c.want)
		})
	}
}

// The batch itself is there without Remember, of streams and states alike.
func TestSliceOfTheBatchItself(t *testing.T) {
	input := [][]int{{1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9}, {10}, {11}, {12}, {13}, {14}, {15}}
	enginetest.Operation(t, input, func(in *engine.DStream[int]) *engine.DStream[int] { return slicesOf(in, in, 0, 0) }, input)
	enginetest.Operation(t, input, func(in *engine.DStream[int]) *engine.DStream[int] { return slicesOf(in, totalOf(in), 0, 0) },
		[][]int{{1}, {3}, {6}, {10}, {15}, {21}, {28}, {36}, {45}, {55}, {66}, {78}, {91}, {105}, {120}})
}

// totalOf declares the sum of all that came, which is a state.
func totalOf(in *engine.DStream[int]) *engine.DStream[int] {
	return engine.Values(engine.UpdateStateByKey(engine.KeyBy(in, func(int) string { return "sum" }), "sum", func(_ string, vs []int, old rdd.Option[int]) rdd.Option[int] {
		for _, v := range vs {
			old.Value += v
		}
		return rdd.Some(old.Value)
	}))
}

func add(a, b int) int { return a + b }

// What can't be had is an error that says what to do.
func TestErrorsOfSlice(t *testing.T) {
	for name, c := range map[string]struct {
		op   func(in *engine.DStream[int]) *engine.DStream[int]
		is   error
		says string
	}{
		"nothing is remembered": {func(in *engine.DStream[int]) *engine.DStream[int] { return slicesOf(in, in, time.Second, 0) },
			engine.ErrWindow, "slice at engine/slice_test.go:17: the window doesn't fit: it reaches back 1s from the batch's time, and 0s is remembered: declare ssc.Remember(2s)"},
		"a batch too far": {func(in *engine.DStream[int]) *engine.DStream[int] {
			in.Context().Remember(2 * time.Second)
			return slicesOf(in, in, 2*time.Second, 0)
		}, engine.ErrWindow, "Remember(3s)"},
		"its own": {func(in *engine.DStream[int]) (out *engine.DStream[int]) {
			out = engine.Transform(in, func(b engine.Batch, _ *rdd.RDD[int]) *rdd.RDD[int] { return out.Slice(b, b.Time, b.Time)[0] })
			return out
		}, rdd.ErrForeign, "declared before"},
		"in the build function": {func(in *engine.DStream[int]) *engine.DStream[int] {
			in.Slice(engine.Batch{}, time.Time{}, time.Time{})
			return in
		}, engine.ErrBuild, "there is no batch yet"},
		"in an output": {func(in *engine.DStream[int]) *engine.DStream[int] {
			engine.ForEachBatch(in, func(b engine.Batch, _ []int) error {
				in.Slice(b, b.Time, b.Time)
				return nil
			})
			return in
		}, engine.ErrBatchFailed, "slice"},
	} {
		if _, err := enginetest.Run(t, [][]int{{1}}, 1, c.op); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
