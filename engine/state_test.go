package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

type event = rdd.Pair[string, int]

func ev(key string, value int) event { return rdd.KV(key, value) }

// runningSum adds up the values of each key.
func runningSum(key string, value *int, s *engine.State[int]) (string, bool) {
	sum, _ := s.Get()
	if value == nil {
		return fmt.Sprintf("%s ends with %d", key, sum), true
	}
	s.Update(sum + *value)
	return fmt.Sprintf("%s=%d", key, sum+*value), true
}

func TestMapWithState(t *testing.T) {
	input := [][]event{{ev("a", 1), ev("b", 2), ev("a", 3)}, {}, {ev("a", 10)}, {ev("b", 1), ev("c", 1)}}
	enginetest.Operation(t, input, func(in *engine.DStream[event]) *engine.DStream[string] {
		return engine.MapWithState(in, "sums", runningSum)
	}, [][]string{{"a=1", "a=4", "b=2"}, {}, {"a=14"}, {"b=3", "c=1"}, {}})
}

// Parity edge 13: a timeout is reported once, without a value, in the first batch after it.
func TestStateTimesOut(t *testing.T) {
	input := [][]event{{ev("a", 1), ev("b", 2)}, {ev("a", 1)}, {}, {}, {ev("b", 5)}}
	enginetest.Operation(t, input, func(in *engine.DStream[event]) *engine.DStream[string] {
		return engine.MapWithState(in, "sums", runningSum, engine.Timeout(2*time.Second))
	}, [][]string{{"a=1", "b=2"}, {"a=2"}, {"b ends with 2"}, {"a ends with 2"}, {"b=5"}, {}, {"b ends with 5"}, {}})
}

func TestStateSnapshots(t *testing.T) {
	input := [][]event{{ev("a", 1), ev("b", 2)}, {}, {ev("a", 10)}}
	enginetest.Operation(t, input, func(in *engine.DStream[event]) *engine.DStream[event] {
		engine.MapWithState(in, "sums", runningSum)
		return engine.StateSnapshots[string, int](in.Context(), "sums")
	}, [][]event{{ev("a", 1), ev("b", 2)}, {ev("a", 1), ev("b", 2)}, {ev("a", 11), ev("b", 2)}})
}

// Parity edge 13: every key in every batch, initial keys from batch 1 on.
func TestUpdateStateByKey(t *testing.T) {
	input := [][]event{{ev("a", 1), ev("a", 2)}, {ev("b", 5)}, {ev("a", -3)}}
	enginetest.Operation(t, input, func(in *engine.DStream[event]) *engine.DStream[event] {
		return engine.UpdateStateByKey(in, "sums", func(_ string, values []int, old rdd.Option[int]) rdd.Option[int] {
			sum := old.Value
			for _, v := range values {
				sum += v
			}
			if sum == 0 {
				return rdd.None[int]()
			}
			return rdd.Some(sum)
		}, engine.InitialState([]event{ev("z", 7)}), engine.Partitions(3))
	}, [][]event{{ev("a", 3), ev("z", 7)}, {ev("a", 3), ev("b", 5), ev("z", 7)}, {ev("b", 5), ev("z", 7)}, {ev("b", 5), ev("z", 7)}})
}

// A state goes on over many checkpoints.
func TestStateOverCheckpoints(t *testing.T) {
	const batches = 60
	input := make([][]event, batches)
	want := make([][]string, batches)
	for i := range input {
		input[i] = []event{ev("a", 1), ev(fmt.Sprint("k", i), i)}
		want[i] = []string{fmt.Sprintf("a=%d", i+1), fmt.Sprintf("k%d=%d", i, i)}
	}
	got, err := enginetest.Run(t, input, batches, func(in *engine.DStream[event]) *engine.DStream[string] {
		return engine.MapWithState(in, "sums", runningSum)
	}, "--conf", "checkpoint.interval=3s")
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if fmt.Sprint(sorted(got[i])) != fmt.Sprint(sorted(want[i])) {
			t.Fatalf("batch %d: %v, want %v", i+1, got[i], want[i])
		}
	}
}

func sorted(rows []string) []string {
	rows = append([]string(nil), rows...)
	for i := range rows {
		for j := i; j > 0 && rows[j] < rows[j-1]; j-- {
			rows[j], rows[j-1] = rows[j-1], rows[j]
		}
	}
	return rows
}

func TestErrorsOfStates(t *testing.T) {
	type stream = engine.DStream[event]
	for name, c := range map[string]struct {
		op   func(in *stream)
		says string
	}{
		"no function": {func(in *stream) { engine.MapWithState[string, int, int, string](in, "sums", nil) }, "function"},
		"no name":     {func(in *stream) { engine.MapWithState(in, "", runningSum) }, "1 to 64"},
		"a bad name":  {func(in *stream) { engine.MapWithState(in, "a/b", runningSum) }, "letters, digits"},
		"two of one name": {func(in *stream) {
			engine.MapWithState(in, "sums", runningSum)
			engine.UpdateStateByKey(in, "sums", func(string, []int, rdd.Option[int]) rdd.Option[int] { return rdd.None[int]() })
		}, "too: each needs one of its own"},
		"no timeout":    {func(in *stream) { engine.MapWithState(in, "sums", runningSum, engine.Timeout(0)) }, "above 0"},
		"no partitions": {func(in *stream) { engine.MapWithState(in, "sums", runningSum, engine.Partitions(0)) }, "not 0"},
		"other initial": {func(in *stream) {
			engine.MapWithState(in, "sums", runningSum, engine.InitialState([]rdd.Pair[int, int]{}))
		}, "the initial state is a []rdd.Pair[int,int]"},
		"no state": {func(in *stream) { engine.StateSnapshots[string, int](in.Context(), "sums") }, `nothing before has a state "sums"`},
		"other types": {func(in *stream) {
			engine.MapWithState(in, "sums", runningSum)
			engine.StateSnapshots[int, int](in.Context(), "sums")
		}, "doesn't hold"},
		"not encodable": {func(in *stream) {
			engine.MapWithState(in, "sums", func(string, *int, *engine.State[chan int]) (int, bool) { return 0, false })
		}, "chan int"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := enginetest.Run(t, nil, 1, func(in *stream) *stream { c.op(in); return in })
			if !errors.Is(err, engine.ErrBuild) || !strings.Contains(fmt.Sprint(err), c.says) || !strings.Contains(fmt.Sprint(err), "state_test.go:") {
				t.Errorf("%v", err)
			}
		})
	}
}

// The key is named on which a function fails.
func TestStateFunctionFails(t *testing.T) {
	input := [][]event{{ev("a", 1), ev("bad", 2)}}
	for name, c := range map[string]struct {
		f    func(key string, v *int, s *engine.State[int]) (string, bool)
		opts []engine.StateOption
		says []string
	}{
		"panic": {func(key string, v *int, s *engine.State[int]) (string, bool) {
			if key == "bad" {
				panic("too much")
			}
			return "", false
		}, nil, []string{"too much", `key bad of state "sums"`, "mapWithState at"}},
		"update while timing out": {func(key string, v *int, s *engine.State[int]) (string, bool) {
			s.Update(1)
			return "", false
		}, []engine.StateOption{engine.Timeout(time.Second)}, []string{"Update of key", "timing out"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := enginetest.Run(t, input, 5, func(in *engine.DStream[event]) *engine.DStream[string] {
				return engine.MapWithState(in, "sums", c.f, c.opts...)
			})
			for _, says := range c.says {
				if err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("%v doesn't say %q", err, says)
				}
			}
		})
	}
}

// Parity edge 11: without a filter keys stay, with what the inverse makes of them.
func TestReduceByKeyAndWindowInverse(t *testing.T) {
	input := [][]event{{ev("a", 1), ev("b", 2)}, {ev("a", 10)}, {}, {ev("c", 5)}}
	plus, minus := func(a, b int) int { return a + b }, func(a, b int) int { return a - b }
	t.Run("all keys", func(t *testing.T) {
		enginetest.Operation(t, input, func(in *engine.DStream[event]) *engine.DStream[event] {
			return engine.ReduceByKeyAndWindowInverse(in, "sums", plus, minus, 2*time.Second, time.Second, nil)
		}, [][]event{{ev("a", 1), ev("b", 2)}, {ev("a", 11), ev("b", 2)}, {ev("a", 10), ev("b", 0)}, {ev("a", 0), ev("b", 0), ev("c", 5)}, {ev("a", 0), ev("b", 0), ev("c", 5)}, {ev("a", 0), ev("b", 0), ev("c", 0)}})
	})
	t.Run("filtered", func(t *testing.T) {
		enginetest.Operation(t, input, func(in *engine.DStream[event]) *engine.DStream[event] {
			return engine.ReduceByKeyAndWindowInverse(in, "sums", plus, minus, 2*time.Second, time.Second, func(e event) bool { return e.Value != 0 })
		}, [][]event{{ev("a", 1), ev("b", 2)}, {ev("a", 11), ev("b", 2)}, {ev("a", 10)}, {ev("c", 5)}, {ev("c", 5)}, {}})
	})
	t.Run("every other", func(t *testing.T) {
		enginetest.Operation(t, input, func(in *engine.DStream[event]) *engine.DStream[event] {
			return engine.ReduceByKeyAndWindowInverse(in, "sums", plus, minus, 3*time.Second, 2*time.Second, func(e event) bool { return e.Value != 0 })
		}, [][]event{nil, {ev("a", 11), ev("b", 2)}, nil, {ev("a", 10), ev("c", 5)}, nil, {ev("c", 5)}, nil, {}})
	})
}
