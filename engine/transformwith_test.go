package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

func TestTransformWith(t *testing.T) {
	input := [][]int{{1, 2}, {}, {3}}
	enginetest.Operation(t, input, func(in *engine.DStream[int]) *engine.DStream[string] {
		names := engine.Map(in, func(v int) rdd.Pair[int, string] { return rdd.KV(v, strings.Repeat("x", v)) })
		return engine.TransformWith(in, names, func(b engine.Batch, a *rdd.RDD[int], n *rdd.RDD[rdd.Pair[int, string]]) *rdd.RDD[string] {
			keyed := rdd.Map(a, func(v int) rdd.Pair[int, int] { return rdd.KV(v, int(b.Seq)) })
			return rdd.Map(rdd.Join(keyed, n), func(p rdd.Pair[int, rdd.Joined[int, string]]) string { return fmt.Sprint(p.Value) })
		})
	}, [][]string{{"{1 x}", "{1 xx}"}, {}, {"{3 xxx}"}})
}

// What can't be transformed together is said at the build.
func TestErrorsOfTransformWith(t *testing.T) {
	first := func(_ engine.Batch, a, _ *rdd.RDD[int]) *rdd.RDD[int] { return a }
	for name, c := range map[string]struct {
		op   func(in *engine.DStream[int]) *engine.DStream[int]
		says error
	}{
		"no function": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return engine.TransformWith[int, int, int](in, in, nil)
		}, rdd.ErrNilFunction},
		"no stream": {func(in *engine.DStream[int]) *engine.DStream[int] { return engine.TransformWith(in, nil, first) }, rdd.ErrNil},
		"two slides": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return engine.TransformWith(in, in.Window(2*time.Second, 2*time.Second), first)
		}, engine.ErrSlides},
		"no time": {func(in *engine.DStream[int]) *engine.DStream[int] { in.Context().Remember(0); return in }, engine.ErrWindow},
		"another RDD": {func(in *engine.DStream[int]) *engine.DStream[int] {
			return engine.TransformWith(in, in, func(engine.Batch, *rdd.RDD[int], *rdd.RDD[int]) *rdd.RDD[int] { return nil })
		}, rdd.ErrNil},
	} {
		if _, err := enginetest.Run(t, [][]int{{1}}, 1, c.op); !errors.Is(err, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An output that waits is told when the job's other work has failed.
func TestForEachBatchContext(t *testing.T) {
	broken := errors.New("the camera is gone")
	ended := false
	err := run(t, func(ssc *engine.StreamingContext) error {
		ssc.DriverTask("camera", func(ctx context.Context) error {
			time.Sleep(1500 * time.Millisecond)
			return broken
		})
		engine.ForEachBatchContext(numbers(ssc), func(ctx context.Context, b engine.Batch, rows []int) error {
			if b.Seq != 1 || len(rows) != 2 {
				t.Errorf("batch %d: %v", b.Seq, rows)
			}
			<-ctx.Done()
			ended = true
			return ctx.Err()
		})
		return nil
	})
	if !errors.Is(err, broken) || !ended {
		t.Errorf("ended: %v; %v", ended, err)
	}
}
