package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

// A program that has changed goes on with its checkpoint: states are found by their names,
// also in another number of partitions, and a batch that isn't complete runs on the new
// program.
func TestChangedProgramGoesOn(t *testing.T) {
	const batches, change = 20, 12
	input := make([][]event, batches)
	for i := range input {
		input[i] = []event{ev("a", 1), ev(fmt.Sprint("k", i%5), i)}
	}
	broken := errors.New("the screen is gone")
	var sums [batches]string
	note := func(fails uint64, ssc *engine.StreamingContext) func(b engine.Batch, rows []string) error {
		return func(b engine.Batch, rows []string) error {
			if b.Seq == fails {
				return broken
			}
			if b.Seq <= batches {
				sums[b.Seq-1] = strings.Join(sorted(rows), " ")
			}
			if b.Seq == batches {
				ssc.Stop()
			}
			return nil
		}
	}
	old := func(fails uint64) engine.BuildFunc {
		return func(ssc *engine.StreamingContext) error {
			in := enginetest.Queue(ssc, input, 2)
			engine.ForEachBatch(in, func(engine.Batch, []event) error { return nil })
			engine.ForEachBatch(engine.MapWithState(in, "sums", runningSum), note(fails, ssc))
			return nil
		}
	}
	var since, window []string
	changed := func(ssc *engine.StreamingContext) error {
		in := engine.Map(enginetest.Queue(ssc, input, 2), func(e event) event { return e })
		engine.ForEachBatch(engine.MapWithState(in, "sums", runningSum, engine.Partitions(3)), note(0, ssc))
		fresh := engine.MapWithState(in.Filter(func(e event) bool { return e.Key == "a" }), "fresh", runningSum)
		engine.ForEachBatch(fresh, func(b engine.Batch, rows []string) error {
			since = append(since, fmt.Sprint(b.Seq, rows))
			return nil
		})
		ones := engine.ReduceByKeyAndWindowInverse(in.Filter(func(e event) bool { return e.Key == "a" }), "last3",
			func(a, b int) int { return a + b }, func(a, b int) int { return a - b }, 3*time.Second, time.Second, nil)
		engine.ForEachBatch(ones, func(b engine.Batch, rows []rdd.Pair[string, int]) error {
			window = append(window, fmt.Sprint(b.Seq, rows))
			return nil
		})
		return nil
	}
	start := func(dir string, build engine.BuildFunc, more ...string) (err error) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			args := []string{"--log-level", "error", "--master", "local[2]", "--checkpoint", dir, "--conf", "checkpoint.interval=4s"}
			err = engine.NewApp("test").Run(ctx, append(args, more...), time.Second, build)
		})
		return err
	}
	if err := start(t.TempDir(), old(0)); err != nil {
		t.Fatal(err)
	}
	want := sums
	dir := t.TempDir()
	if err := start(dir, old(change)); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := start(dir, changed); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(sums[:], want[:]) {
		t.Errorf("\n got %q\nwant %q", sums, want)
	}
	for name, there := range map[string]bool{"sums": true, "last3": true, "none": false} {
		if err := start(dir, changed, "--state", name); (err == nil) != there {
			t.Errorf("--state %s: %v", name, err)
		}
	}
	if len(since) != batches-change+1 || since[0] != "12 [a=1]" || since[1] != "13 [a=2]" {
		t.Errorf("the new state went through %q", since)
	}
	if len(window) != batches-change+1 || window[4] != "16 [{a 3}]" || window[8] != "20 [{a 3}]" {
		t.Errorf("the new window went through %q", window)
	}
}

// What doesn't fit a checkpoint is said before anything runs, and nothing is lost by it.
func TestStateThatDoesNotFit(t *testing.T) {
	dir := t.TempDir()
	program := func(last uint64, declare func(in *engine.DStream[event])) engine.BuildFunc {
		return func(ssc *engine.StreamingContext) error {
			in := enginetest.Queue(ssc, [][]event{{ev("a", 1)}, {ev("a", 2)}, {ev("a", 3)}}, 2)
			declare(in)
			engine.ForEachBatch(in, func(b engine.Batch, _ []event) error {
				if b.Seq == last {
					ssc.Stop()
				}
				return nil
			})
			return nil
		}
	}
	discard := func(d *engine.DStream[string]) {
		engine.ForEachBatch(d, func(engine.Batch, []string) error { return nil })
	}
	ofInts := func(in *engine.DStream[event]) { discard(engine.MapWithState(in, "sums", runningSum)) }
	if err := run(t, program(2, ofInts), "--checkpoint", dir); err != nil {
		t.Fatal(err)
	}
	for says, declare := range map[string]func(in *engine.DStream[event]){
		"state sums of string to int: the program has none": func(*engine.DStream[event]) {},
		"state sums: it holds string to int, the program wants string to string": func(in *engine.DStream[event]) {
			discard(engine.MapWithState(in, "sums", func(string, *int, *engine.State[string]) (string, bool) { return "", true }))
		},
		"state sums: it is of a window, the program wants one over 4s every 1s": func(in *engine.DStream[event]) {
			add := func(a, b int) int { return a + b }
			discard(engine.Map(engine.ReduceByKeyAndWindowInverse(in, "sums", add, add, 3*time.Second, time.Second, nil), func(e event) string { return e.Key }))
		},
	} {
		err := run(t, program(3, declare), "--checkpoint", dir)
		if !errors.Is(err, engine.ErrOtherProgram) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	if err := run(t, program(3, ofInts), "--checkpoint", dir); err != nil {
		t.Errorf("the program that was: %v", err)
	}
}

// Of a state that holds variables each is found by its name: a new one begins with
// nothing, and one that is gone, or of another type, is said before anything runs.
func TestChangedVariables(t *testing.T) {
	const batches, change = 10, 6
	input := [][]event{}
	for i := range batches {
		input = append(input, []event{ev("a", i), ev("b", 10*i)})
	}
	var rows [batches]string
	program := func(last uint64, opts []engine.StateOption, f func(c *keyOf, n int) string) engine.BuildFunc {
		return func(ssc *engine.StreamingContext) error {
			in := enginetest.Queue(ssc, input, 2)
			held := engine.TransformWithState(in, "held", func(c *keyOf, values []int, emit func(string)) error {
				emit(f(c, values[0]))
				return nil
			}, opts...)
			engine.ForEachBatch(held, func(b engine.Batch, got []string) error {
				if b.Seq <= batches {
					rows[b.Seq-1] = fmt.Sprint(sorted(got))
				}
				if b.Seq == last {
					ssc.Stop()
				}
				return nil
			})
			return nil
		}
	}
	sum, list := engine.NewValueState[int]("sum"), engine.NewListState[int]("list")
	text, fresh := engine.NewListState[string]("list"), engine.NewMapState[int, bool]("fresh")
	add := func(c *keyOf, n int) int {
		before, _ := sum.Get(c)
		sum.Set(c, before+n)
		return before + n
	}
	noTimer := func(*keyOf, time.Time, func(string)) error { return nil }
	before := program(change, []engine.StateOption{engine.Holds(sum, list), engine.OnTimer(noTimer), engine.Partitions(2)}, func(c *keyOf, n int) string {
		list.Append(c, n)
		c.SetTimer(c.BatchTime().Add(time.Hour))
		return fmt.Sprint(c.Key(), add(c, n), list.Len(c), len(c.Timers()))
	})
	after := program(batches, []engine.StateOption{engine.Holds(sum, text, fresh), engine.Partitions(3)}, func(c *keyOf, n int) string {
		text.Append(c, "new")
		fresh.Set(c, n, true)
		return fmt.Sprint(c.Key(), add(c, n), text.Len(c), fresh.Len(c), len(c.Timers()))
	})
	dir := t.TempDir()
	args := []string{"--checkpoint", dir, "--conf", "checkpoint.interval=2s"}
	if err := run(t, before, args...); err != nil {
		t.Fatal(err)
	}
	err := run(t, after, args...)
	for _, says := range []string{"list, a list of int of state held: the program wants a list of string", "timers of state held: the program has none"} {
		if !errors.Is(err, engine.ErrOtherProgram) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	if err := run(t, after, append(args, "--allow-non-restored-state")...); err != nil {
		t.Fatal(err)
	}
	if got, want := rows[change-1], "[a15 6 6 b150 6 6]"; got != want {
		t.Errorf("before the change %s, want %s", got, want)
	}
	// What came after the newest checkpoint goes through the new program once more, so its
	// variables have more than the batches that it put out.
	var total, texts, entries, timers int
	if n, err := fmt.Sscanf(strings.Trim(rows[batches-1], "[]"), "a%d %d %d %d b", &total, &texts, &entries, &timers); n != 4 {
		t.Fatal(rows[batches-1], err)
	}
	if total != 45 || texts < batches-change || texts >= batches || entries != texts || timers != 0 {
		t.Errorf("in the end %s", rows[batches-1])
	}
}

// A state whose type has lost a field goes on with the others; one whose field is of another
// kind is refused before anything runs, and nothing is lost by it.
func TestChangedFields(t *testing.T) {
	dir := t.TempDir()
	var rows []string
	note := func(ssc *engine.StreamingContext, d *engine.DStream[string], last uint64) {
		engine.ForEachBatch(d, func(b engine.Batch, got []string) error {
			if rows = append(rows, got...); b.Seq == last {
				ssc.Stop()
			}
			return nil
		})
	}
	input := [][]event{{ev("a", 1)}, {ev("a", 2)}, {ev("a", 3)}}
	first := func(ssc *engine.StreamingContext) error {
		type sum struct{ N, Old int }
		note(ssc, engine.MapWithState(enginetest.Queue(ssc, input, 2), "sums", func(_ string, n *int, s *engine.State[sum]) (string, bool) {
			v, _ := s.Get()
			v.N, v.Old = v.N+*n, 7
			s.Update(v)
			return fmt.Sprint(v), true
		}), 2)
		return nil
	}
	renamed := func(ssc *engine.StreamingContext) error {
		type sum struct{ N, New int }
		note(ssc, engine.MapWithState(enginetest.Queue(ssc, input, 2), "sums", func(_ string, n *int, s *engine.State[sum]) (string, bool) {
			v, _ := s.Get()
			v.N += *n
			s.Update(v)
			return fmt.Sprint(v), true
		}), 3)
		return nil
	}
	other := func(ssc *engine.StreamingContext) error {
		type sum struct{ N string }
		note(ssc, engine.MapWithState(enginetest.Queue(ssc, input, 2), "sums", func(string, *int, *engine.State[sum]) (string, bool) {
			return "", true
		}), 3)
		return nil
	}
	if err := run(t, first, "--checkpoint", dir); err != nil {
		t.Fatal(err)
	}
	if err := run(t, other, "--checkpoint", dir); !errors.Is(err, engine.ErrOtherProgram) || !strings.Contains(err.Error(), "state sums: its N is an integer, the program wants a string") {
		t.Error(err)
	}
	if err := run(t, renamed, "--checkpoint", dir); err != nil {
		t.Error(err)
	}
	if want := []string{"{1 7}", "{3 7}", "{6 0}"}; !slices.Equal(rows[:min(3, len(rows))], want) {
		t.Errorf("%q, want %q", rows, want)
	}
}
