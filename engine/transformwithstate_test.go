package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

type keyOf = engine.KeyContext[string]

// variablesTest is an operator of TransformWithState that is told what to do by its input.
type variablesTest struct {
	total *engine.ValueState[int]
	seen  *engine.ListState[int]
	count *engine.MapState[int, int]
	times *engine.ListState[int]
}

func newVariablesTest(opts ...engine.VariableOption) variablesTest {
	return variablesTest{
		engine.NewValueState[int]("total", opts...), engine.NewListState[int]("seen", opts...),
		engine.NewMapState[int, int]("count", opts...), engine.NewListState[int]("times"),
	}
}

// all returns what is held of a key.
func (v variablesTest) all(c *keyOf) string {
	total, _ := v.total.Get(c)
	var counts []string
	for k, n := range v.count.All(c) {
		counts = append(counts, fmt.Sprint(k, "x", n))
	}
	return fmt.Sprintf("%s %d %v%d %v%d", c.Key(), total, slices.Collect(v.seen.All(c)), v.seen.Len(c), counts, v.count.Len(c))
}

// add adds numbers to all that is held.
func (v variablesTest) add(c *keyOf, numbers []int, emit func(string)) error {
	total, _ := v.total.Get(c)
	for _, n := range numbers {
		total += n
		times, _ := v.count.Get(c, n)
		v.count.Set(c, n, times+1)
	}
	v.total.Set(c, total)
	v.seen.Append(c, numbers...)
	emit(v.all(c))
	return nil
}

func (v variablesTest) of(in *engine.DStream[event], f func(c *keyOf, numbers []int, emit func(string)) error, opts ...engine.StateOption) *engine.DStream[string] {
	return engine.TransformWithState(in, "test", f, append(opts, engine.Holds(v.total, v.seen, v.count, v.times), engine.Partitions(3))...)
}

func TestTransformWithState(t *testing.T) {
	input := [][]event{{ev("a", 1), ev("b", 2), ev("a", 3)}, {}, {ev("a", 1), ev("a", 7)}, {ev("b", 5), ev("c", 2)}}
	want := [][]string{
		{"a 4 [1 3]2 [1x1 3x1]2", "b 2 [2]1 [2x1]1"}, {},
		{"a 12 [1 3 1 7]4 [1x2 3x1 7x1]3"},
		{"b 7 [2 5]2 [2x1 5x1]2", "c 2 [2]1 [2x1]1"},
	}
	op := func(in *engine.DStream[event]) *engine.DStream[string] {
		v := newVariablesTest()
		return v.of(in, v.add)
	}
	enginetest.Operation(t, input, op, want)
}

// What is taken away is gone, and what is put after that begins anew; a sequence has what
// was there when it began, without what was removed since.
func TestVariablesAreRemoved(t *testing.T) {
	const remove, sequence, clear = -1, -2, -3
	input := [][]event{
		{ev("a", 1), ev("a", 2), ev("a", 3)}, {ev("a", remove)}, {ev("a", 2), ev("a", 4)},
		{ev("a", sequence)}, {ev("a", clear)}, {ev("a", 9)},
	}
	enginetest.Operation(t, input, func(in *engine.DStream[event]) *engine.DStream[string] {
		v := newVariablesTest()
		return v.of(in, func(c *keyOf, numbers []int, emit func(string)) error {
			switch numbers[0] {
			case remove:
				v.total.Remove(c)
				v.count.Remove(c, 2)
				v.count.Remove(c, 8) // which isn't there
			case sequence:
				for n := range v.seen.All(c) {
					v.seen.Append(c, 10*n)
				}
				for k := range v.count.All(c) {
					v.count.Remove(c, k+1)
					v.count.Set(c, 100+k, 1)
				}
			case clear:
				v.seen.Clear(c)
				v.count.Clear(c)
			default:
				return v.add(c, numbers, emit)
			}
			emit(v.all(c))
			return nil
		})
	}, [][]string{
		{"a 6 [1 2 3]3 [1x1 2x1 3x1]3"},
		{"a 0 [1 2 3]3 [1x1 3x1]2"},
		{"a 6 [1 2 3 2 4]5 [1x1 3x1 2x1 4x1]4"},
		{"a 6 [1 2 3 2 4 10 20 30 20 40]10 [1x1 3x1 101x1 103x1]4"},
		{"a 6 []0 []0"},
		{"a 15 [9]1 [9x1]1"},
	})
}

// A value, an element and an entry end by themselves, a TTL after they were set last; their
// key needn't have data for that. What ends is away when a function is called.
func TestTTL(t *testing.T) {
	input := [][]event{{ev("a", 1), ev("b", 1)}, {ev("a", 2)}, {ev("a", 1)}, {}, {ev("a", 3)}, {}, {}, {ev("b", 4), ev("a", 0)}}
	enginetest.Operation(t, input, func(in *engine.DStream[event]) *engine.DStream[string] {
		v := newVariablesTest(engine.TTL(3 * time.Second))
		return v.of(in, v.add)
	}, [][]string{
		{"a 1 [1]1 [1x1]1", "b 1 [1]1 [1x1]1"},
		{"a 3 [1 2]2 [1x1 2x1]2"},
		{"a 4 [1 2 1]3 [1x2 2x1]2"}, // the entry 1 lives on
		{},
		{"a 7 [1 3]2 [1x2 3x1]2"},
		{}, {},
		{"a 0 [0]1 [0x1]1", "b 4 [4]1 [4x1]1"},
	})
}

// Timers come once, in the first batch at or after their time, in the order of their times
// and then of the keys, after the batch's data. Data may delete them, timers set others.
func TestTimers(t *testing.T) {
	const again, delete = 100, -1
	input := [][]event{{ev("a", 2), ev("b", 2), ev("b", 1), ev("c", again), ev("c", 2), ev("c", 2)}, {}, {ev("a", delete), ev("d", 3)}, {}, {ev("c", 7)}}
	enginetest.Operation(t, input, func(in *engine.DStream[event]) *engine.DStream[string] {
		v := newVariablesTest()
		began := func(c *keyOf) time.Time { // the first batch's time, as the key knows it
			n, ok := v.total.Get(c)
			if !ok {
				n = int(c.BatchTime().UnixNano())
				v.total.Set(c, n)
			}
			return time.Unix(0, int64(n))
		}
		since := func(c *keyOf, at time.Time) int { return int(at.Sub(began(c)) / time.Second) }
		return v.of(in, func(c *keyOf, numbers []int, emit func(string)) error {
			for _, n := range numbers {
				if n == delete {
					for _, at := range c.Timers() {
						c.DeleteTimer(at)
					}
					c.DeleteTimer(c.BatchTime().Add(time.Hour)) // which isn't set
				} else {
					c.SetTimer(c.BatchTime().Add(time.Duration(n) * time.Second))
				}
			}
			var timers []int
			for _, at := range c.Timers() {
				timers = append(timers, since(c, at))
			}
			emit(fmt.Sprint(c.Key(), " has ", timers))
			return nil
		}, engine.Partitions(1), engine.OnTimer(func(c *keyOf, at time.Time, emit func(string)) error {
			s := fmt.Sprint(c.Key(), " at ", since(c, at), " in ", since(c, c.BatchTime()))
			if c.Key() == "c" && len(c.Timers()) > 0 {
				c.SetTimer(at.Add(time.Second + time.Millisecond))
				c.DeleteTimer(c.Timers()[len(c.Timers())-1])
			}
			emit(s)
			return nil
		}))
	}, [][]string{
		{"a has [2]", "b has [1 2]", "c has [2 100]"},
		{"b at 1 in 1"},
		{"a has []", "d has [3]", "b at 2 in 2", "c at 2 in 2"},
		{},
		{"c has [3 11]", "c at 3 in 4"},
		{"c at 4 in 5", "d at 3 in 3"},
	})
}

// Those of one batch are in their order.
func TestTimersAreInOrder(t *testing.T) {
	input := [][]event{{ev("b", 900), ev("a", 900), ev("c", 100), ev("a", 200), ev("b", 1)}}
	got, err := enginetest.Run(t, input, 2, func(in *engine.DStream[event]) *engine.DStream[string] {
		return engine.TransformWithState(in, "test", func(c *keyOf, millis []int, _ func(string)) error {
			for _, n := range millis {
				c.SetTimer(c.BatchTime().Add(time.Duration(n) * time.Millisecond))
			}
			return nil
		}, engine.Partitions(1), engine.OnTimer(func(c *keyOf, at time.Time, emit func(string)) error {
			emit(fmt.Sprint(c.Key(), c.BatchTime().Sub(at)))
			return nil
		}))
	})
	if want := "[b999ms c900ms a800ms a100ms b100ms]"; err != nil || fmt.Sprint(got[1]) != want {
		t.Errorf("%v, want %s; %v", got[1], want, err)
	}
}

// What is held goes on over many checkpoints, a long list among it.
func TestVariablesOverCheckpoints(t *testing.T) {
	const batches = 40
	input := make([][]event, batches)
	for i := range input {
		input[i] = []event{ev("a", i), ev(fmt.Sprint("k", i%7), i)}
	}
	op := func(in *engine.DStream[event]) *engine.DStream[string] {
		v := newVariablesTest(engine.TTL(5 * time.Second))
		return v.of(in, v.add)
	}
	want, err := enginetest.Run(t, input, batches, op, "--conf", "checkpoint.interval=1h")
	if err != nil {
		t.Fatal(err)
	}
	got, err := enginetest.Run(t, input, batches, op, "--conf", "checkpoint.interval=3s")
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if fmt.Sprint(sorted(got[i])) != fmt.Sprint(sorted(want[i])) {
			t.Fatalf("batch %d: %v, want %v", i+1, got[i], want[i])
		}
	}
	if last := fmt.Sprintf("a %d [35 36 37 38 39]5 [35x1 36x1 37x1 38x1 39x1]5", batches*(batches-1)/2); !slices.Contains(got[batches-1], last) {
		t.Errorf("in the end %v, not %s", got[batches-1], last)
	}
}

func TestErrorsOfVariables(t *testing.T) {
	type stream = engine.DStream[event]
	nothing := func(*keyOf, []int, func(string)) error { return nil }
	with := func(opts ...engine.StateOption) func(in *stream) {
		return func(in *stream) { engine.TransformWithState(in, "test", nothing, opts...) }
	}
	for name, c := range map[string]struct {
		op   func(in *stream)
		says string
	}{
		"no function": {func(in *stream) { engine.TransformWithState[string, int, string](in, "test", nil) }, "function"},
		"two of one name": {func(in *stream) {
			with()(in)
			engine.MapWithState(in, "test", runningSum)
		}, "too: each needs one of its own"},
		"two variables of one name": {with(engine.Holds(engine.NewValueState[int]("n"), engine.NewListState[int]("n"))), `the list "n": another one has the name`},
		"no name":                   {with(engine.Holds(engine.NewValueState[int](""))), "1 to 64"},
		"no variable":               {with(engine.Holds(nil)), "a variable is nil"},
		"no TTL":                    {with(engine.Holds(engine.NewListState[int]("n", engine.TTL(0)))), "a TTL of 0s"},
		"not encodable":             {with(engine.Holds(engine.NewValueState[chan int]("n"))), "chan int"},
		"not a key":                 {with(engine.Holds(engine.NewMapState[*int, int]("n"))), "as a key"},
		"no function of timers":     {with(engine.OnTimer[string, string](nil)), "OnTimer is nil"},
		"timers of others": {with(engine.OnTimer(func(*engine.KeyContext[int], time.Time, func(string)) error { return nil })),
			"the function of engine.OnTimer is a func(*engine.KeyContext[int]"},
		"timeout": {with(engine.Timeout(time.Second)), "engine.Timeout means nothing here"},
		"elsewhere": {func(in *stream) {
			engine.MapWithState(in, "sums", runningSum, engine.Holds(engine.NewValueState[int]("n")))
		}, "engine.Holds and engine.OnTimer mean nothing here"},
		"snapshots": {func(in *stream) {
			with(engine.Holds(engine.NewValueState[int]("n")))(in)
			engine.StateSnapshots[string, int](in.Context(), "test")
		}, "holds variables"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := enginetest.Run(t, nil, 1, func(in *stream) *stream { c.op(in); return in })
			if !errors.Is(err, engine.ErrBuild) || !strings.Contains(fmt.Sprint(err), c.says) || !strings.Contains(fmt.Sprint(err), "transformwithstate_test.go:") {
				t.Errorf("%v", err)
			}
		})
	}
}

// moody can't be encoded today.
type moody struct{}

var errMoody = errors.New("not today")

func (moody) MarshalText() ([]byte, error)  { return nil, errMoody }
func (*moody) UnmarshalText(b []byte) error { return nil }

// Numbers are named as they are, of what is long the beginning.
func TestKeysAreNamed(t *testing.T) {
	if says := failsFor(t, 7); !strings.Contains(says, `: key 7 of state "test": `) {
		t.Error(says)
	}
	if says := failsFor(t, strings.Repeat("é", 101)); !strings.Contains(says, `: key `+strings.Repeat("é", 100)+` of state "test": `) {
		t.Error(says)
	}
}

// failsFor returns what a function's error for a key says.
func failsFor[K comparable](t *testing.T, key K) string {
	_, err := enginetest.Run(t, [][]rdd.Pair[K, int]{{{Key: key, Value: 1}}}, 1, func(in *engine.DStream[rdd.Pair[K, int]]) *engine.DStream[string] {
		return engine.TransformWithState(in, "test", func(*engine.KeyContext[K], []int, func(string)) error { return errors.New("no") })
	})
	return fmt.Sprint(err)
}

// The key is named for which a function, or what it does, fails the batch.
func TestFunctionOfVariablesFails(t *testing.T) {
	wrong := errors.New("that is wrong")
	other := engine.NewValueState[int]("other")
	moods := engine.NewValueState[moody]("mood")
	for name, tt := range map[string]struct {
		f    func(c *keyOf, emit func(string)) error
		is   error
		says []string
	}{
		"panic":             {func(*keyOf, func(string)) error { panic("too much") }, nil, []string{"too much", "transformWithState at engine/transformwithstate_test.go:"}},
		"error":             {func(*keyOf, func(string)) error { return wrong }, wrong, nil},
		"timer in the past": {func(c *keyOf, _ func(string)) error { c.SetTimer(c.BatchTime()); return nil }, engine.ErrState, []string{"a timer is set to 2", "must be after the batch's time"}},
		"not held":          {func(c *keyOf, _ func(string)) error { other.Set(c, 1); return nil }, engine.ErrState, []string{`the value "other" isn't among what it holds`, "engine.Holds"}},
		"not encodable":     {func(c *keyOf, _ func(string)) error { moods.Set(c, moody{}); return nil }, errMoody, []string{`the value "mood"`}},
	} {
		for _, timer := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " timer=", timer), func(t *testing.T) {
				_, err := enginetest.Run(t, [][]event{{ev("a", 1), ev("bad", 2)}}, 5, func(in *engine.DStream[event]) *engine.DStream[string] {
					run := func(c *keyOf, emit func(string)) error {
						if c.Key() == "bad" {
							return tt.f(c, emit)
						}
						return nil
					}
					return engine.TransformWithState(in, "test", func(k *keyOf, _ []int, emit func(string)) error {
						if timer {
							k.SetTimer(k.BatchTime().Add(time.Second))
							return nil
						}
						return run(k, emit)
					}, engine.Holds(moods), engine.OnTimer(func(k *keyOf, _ time.Time, emit func(string)) error { return run(k, emit) }))
				})
				says := append([]string{`key bad of state "test"`}, tt.says...)
				if timer {
					says = append(says, "whose timer of 2")
				}
				for _, says := range says {
					if err == nil || !strings.Contains(err.Error(), says) {
						t.Errorf("%v doesn't say %q", err, says)
					}
				}
				if tt.is != nil && !errors.Is(err, tt.is) {
					t.Errorf("%v isn't %v", err, tt.is)
				}
			})
		}
	}
	_, err := enginetest.Run(t, [][]event{{ev("a", 1)}}, 1, func(in *engine.DStream[event]) *engine.DStream[string] {
		return engine.TransformWithState(in, "test", func(c *keyOf, _ []int, _ func(string)) error { c.SetTimer(c.BatchTime().Add(1)); return nil })
	})
	if !errors.Is(err, engine.ErrState) || !strings.Contains(err.Error(), "engine.OnTimer") {
		t.Errorf("a timer without a function: %v", err)
	}
}
