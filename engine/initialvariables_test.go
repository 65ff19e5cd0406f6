package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

// What variables begin with is there when a function first sees data, lives from the first
// batch on, and its timers come also for keys without data.
func TestInitialVariables(t *testing.T) {
	initial := []event{ev("z", 2), ev("a", 5), ev("b", 3), ev("a", 6)}
	input := [][]event{{ev("a", 1)}, {ev("a", 2)}, {}, {ev("a", 3), ev("b", 1), ev("z", 1)}}
	enginetest.Operation(t, input, func(in *engine.DStream[event]) *engine.DStream[string] {
		v := newVariablesTest(engine.TTL(3 * time.Second))
		begin := func(c *keyOf, n int) error {
			c.SetTimer(c.BatchTime().Add(time.Duration(n) * time.Second / 2))
			return v.add(c, []int{n}, func(string) {})
		}
		return v.of(in, v.add, engine.InitialVariables(initial, begin), engine.OnTimer(func(c *keyOf, at time.Time, emit func(string)) error {
			emit(fmt.Sprint(v.all(c), " ", c.BatchTime().Sub(at), " after"))
			return nil
		}))
	}, [][]string{
		{"a 12 [5 6 1]3 [5x1 6x1 1x1]3"},
		{"a 14 [5 6 1 2]4 [5x1 6x1 1x1 2x1]4", "z 2 [2]1 [2x1]1 0s after"},
		{"b 3 [3]1 [3x1]1 500ms after"},
		{"a 17 [2 3]2 [2x1 3x1]2", "a 17 [2 3]2 [2x1 3x1]2 500ms after", "a 17 [2 3]2 [2x1 3x1]2 0s after", "b 1 [1]1 [1x1]1", "z 1 [1]1 [1x1]1"},
	})
}

// A job that goes on from a checkpoint doesn't begin again, whatever it is given then.
func TestInitialVariablesAreNotSetAgain(t *testing.T) {
	dir := t.TempDir()
	input := [][]event{{ev("a", 1)}, {ev("a", 1)}, {ev("a", 1)}, {ev("a", 1)}, {ev("a", 1)}, {ev("a", 1)}}
	run := func(until uint64, initial []event) (last string, calls int64) {
		var called atomic.Int64
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			err := engine.NewApp("test").Run(ctx, []string{"--log-level", "error", "--checkpoint", dir, "--conf", "checkpoint.interval=1s"}, time.Second, func(ssc *engine.StreamingContext) error {
				v := newVariablesTest()
				out := v.of(enginetest.Queue(ssc, input, 2), v.add, engine.InitialVariables(initial, func(c *keyOf, n int) error {
					called.Add(1)
					v.total.Set(c, n)
					return nil
				}))
				engine.ForEachBatch(out, func(b engine.Batch, rows []string) error {
					if b.Seq <= until {
						last = strings.Join(rows, " ")
					}
					if b.Seq == until {
						ssc.Stop()
					}
					return nil
				})
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
		return last, called.Load()
	}
	if last, calls := run(3, []event{ev("a", 100), ev("b", 1)}); last != "a 103 [1 1 1]3 [1x3]1" || calls != 2 {
		t.Errorf("at first %s after %d calls", last, calls)
	}
	if last, calls := run(6, []event{ev("a", 1000), ev("c", 1)}); last != "a 106 [1 1 1 1 1 1]6 [1x6]1" || calls != 0 {
		t.Errorf("then %s after %d calls", last, calls)
	}
}

func TestErrorsOfInitialVariables(t *testing.T) {
	type stream = engine.DStream[event]
	begin := func(*keyOf, int) error { return nil }
	nothing := func(*keyOf, []int, func(string)) error { return nil }
	for name, c := range map[string]struct {
		op   func(in *stream)
		says string
	}{
		"no function": {func(in *stream) {
			engine.TransformWithState(in, "test", nothing, engine.InitialVariables[string, int](nil, nil))
		}, "the function of engine.InitialVariables is nil"},
		"other keys": {func(in *stream) {
			engine.TransformWithState(in, "test", nothing, engine.InitialVariables(nil, func(*engine.KeyContext[int], int) error { return nil }))
		}, "aren't of the type string"},
		"a plain state": {func(in *stream) {
			engine.MapWithState(in, "test", runningSum, engine.InitialVariables(nil, begin))
		}, "engine.InitialVariables means nothing here"},
		"plain values": {func(in *stream) {
			engine.TransformWithState(in, "test", nothing, engine.InitialState([]event{ev("a", 1)}))
		}, "variables begin with what engine.InitialVariables sets"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := enginetest.Run(t, nil, 1, func(in *stream) *stream { c.op(in); return in })
			if !errors.Is(err, engine.ErrBuild) || !strings.Contains(fmt.Sprint(err), c.says) || !strings.Contains(fmt.Sprint(err), "initialvariables_test.go:") {
				t.Errorf("%v", err)
			}
		})
	}
	wrong := errors.New("that is wrong")
	for _, f := range []func(*keyOf, int) error{
		func(*keyOf, int) error { return wrong },
		func(*keyOf, int) error { panic(wrong.Error()) },
		func(c *keyOf, _ int) error { c.SetTimer(c.BatchTime().Add(1)); return nil }, // without OnTimer
	} {
		_, err := enginetest.Run(t, [][]event{{ev("a", 1)}}, 1, func(in *stream) *engine.DStream[string] {
			return engine.TransformWithState(in, "test", nothing, engine.InitialVariables([]rdd.Pair[string, int]{ev("bad", 1)}, f))
		})
		says := fmt.Sprint(err)
		if !strings.Contains(says, `key bad of state "test", which begins`) || !slices.ContainsFunc([]string{wrong.Error(), "engine.OnTimer"}, func(s string) bool { return strings.Contains(says, s) }) {
			t.Errorf("%v", err)
		}
	}
}
