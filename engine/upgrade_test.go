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
