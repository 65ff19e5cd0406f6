package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/engine/enginetest"
	"github.com/hibana-engine/hibana/rdd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run is enginetest.Stream.
func run(t *testing.T, build engine.BuildFunc, args ...string) error {
	t.Helper()
	return enginetest.Stream(t, build, args...)
}

// numbers is a queue of three batches.
func numbers(ssc *engine.StreamingContext) *engine.DStream[int] {
	return enginetest.Queue(ssc, [][]int{{1, 2}, {3}, {4, 5, 6}, {7}, {8}}, 2)
}

// A queue gives its batches and then empty ones.
func TestQueueStream(t *testing.T) {
	var seen []string
	err := run(t, func(ssc *engine.StreamingContext) error {
		engine.ForEachBatch(engine.QueueStream(ssc, [][]int{{1, 2}, {}, {3}}, 0), stopAfter(ssc, 4, &seen))
		return nil
	})
	if want := []string{"1 [1 2]", "2 []", "3 [3]", "4 []"}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("batches %v, want %v; %v", seen, want, err)
	}
}

// stopAfter returns an output that notes its batches and stops the stream.
func stopAfter(ssc *engine.StreamingContext, last uint64, seen *[]string) func(engine.Batch, []int) error {
	return func(b engine.Batch, rows []int) error {
		*seen = append(*seen, fmt.Sprint(b.Seq, rows))
		if b.Seq == last {
			ssc.Stop()
		}
		return nil
	}
}

// A program that is started again with its checkpoint goes on with the next
// batch and sees the values that were recorded.
func TestGoesOnFromCheckpoint(t *testing.T) {
	dir := t.TempDir()
	calls := 0
	var values []int
	var seen []string
	build := func(last uint64) engine.BuildFunc {
		return func(ssc *engine.StreamingContext) error {
			values = append(values, engine.Value(ssc, "start", func(context.Context) (int, error) { calls++; return 40 + calls, nil }))
			engine.ForEachBatch(numbers(ssc), stopAfter(ssc, last, &seen))
			return nil
		}
	}
	for _, last := range []uint64{2, 4} {
		if err := run(t, build(last), "--checkpoint", dir); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(seen, " "); !strings.HasPrefix(got, "1 [1 2] 2 [3]") || !strings.Contains(got, "4 [7]") || strings.Count(got, "3 [4 5 6]") != 1 {
		t.Error(got)
	}
	if calls != 1 || !slices.Equal(values, []int{41, 41, 41, 41}) {
		t.Errorf("Value ran %d times and gave %v", calls, values)
	}
}

// A batch whose output failed runs again after a restart, with the same number
// and the same records; outputs that were done don't.
func TestFailedBatchRunsAgain(t *testing.T) {
	dir := t.TempDir()
	broken := errors.New("the screen is gone")
	var first, second []string
	build := func(fail bool) engine.BuildFunc {
		return func(ssc *engine.StreamingContext) error {
			in := numbers(ssc)
			engine.ForEachBatch(in, func(b engine.Batch, rows []int) error {
				first = append(first, fmt.Sprint(b.Seq, rows))
				return nil
			})
			engine.ForEachBatch(in, func(b engine.Batch, rows []int) error {
				if fail && b.Seq == 2 {
					return broken
				}
				return stopAfter(ssc, 3, &second)(b, rows)
			})
			return nil
		}
	}
	err := run(t, build(true), "--checkpoint", dir)
	var batch *engine.BatchError
	if !errors.Is(err, broken) || !errors.As(err, &batch) || batch.Seq != 2 || !strings.Contains(err.Error(), "stream_test.go:") {
		t.Fatalf("%v", err)
	}
	if err := run(t, build(false), "--checkpoint", dir); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(first[:3], " "); got != "1 [1 2] 2 [3] 3 [4 5 6]" {
		t.Errorf("the first output saw %v", first)
	}
	if got := strings.Join(second[:3], " "); got != "1 [1 2] 2 [3] 3 [4 5 6]" {
		t.Errorf("the second output saw %v", second)
	}
}

func TestPerBatchIsTheSameEverywhere(t *testing.T) {
	want := map[uint64]int{}
	ok := 0
	err := run(t, func(ssc *engine.StreamingContext) error {
		offset := engine.PerBatch(ssc, "offset", func(_ context.Context, b engine.Batch) (int, error) {
			want[b.Seq] = int(b.Seq) * 100
			return want[b.Seq], nil
		})
		moved := engine.Transform(numbers(ssc), func(b engine.Batch, r *rdd.RDD[int]) *rdd.RDD[int] {
			n, err := offset.At(b)
			if err != nil {
				r.Context().Lineage().Fail(err)
			}
			return rdd.Map(r, func(i int) int { return n + i })
		})
		engine.ForEachBatch(moved, func(b engine.Batch, rows []int) error {
			if rows[0]/100*100 == want[b.Seq] {
				ok++
			}
			if b.Seq == 3 {
				ssc.Stop()
			}
			return nil
		})
		return nil
	})
	if err != nil || ok < 3 {
		t.Error(ok, err)
	}
}

// What is wrong with a program is said before anything runs, all of it at once,
// each with its place.
func TestBuildErrors(t *testing.T) {
	builds := 0
	var first *engine.DStream[int]
	for name, c := range map[string]struct {
		build engine.BuildFunc
		want  error
		says  []string
	}{
		"two nil functions": {func(ssc *engine.StreamingContext) error {
			engine.Map[int, int](numbers(ssc), nil)
			numbers(ssc).Filter(nil).Print(1)
			return nil
		}, rdd.ErrNilFunction, []string{"map at engine/stream_test.go:", "filter at engine/stream_test.go:"}},
		"no output": {func(ssc *engine.StreamingContext) error { numbers(ssc); return nil }, engine.ErrBuild, []string{"declares no output"}},
		"a panic":   {func(*engine.StreamingContext) error { panic("oh no") }, engine.ErrBuild, []string{"oh no", "stream_test.go:"}},
		"a type that can't be sent": {func(ssc *engine.StreamingContext) error {
			engine.ForEachBatch(engine.Map(numbers(ssc), func(int) func() { return nil }), func(engine.Batch, []func()) error { return nil })
			return nil
		}, engine.ErrBuild, []string{"func() has no encoding"}},
		"a type that would lose something in a shuffle": {func(ssc *engine.StreamingContext) error {
			type visit struct {
				Page string
				user int
			}
			engine.CountByValue(engine.Map(numbers(ssc), func(i int) visit { return visit{"/", i} })).Print(1)
			return nil
		}, engine.ErrBuild, []string{"countByValue at engine/stream_test.go:", "field user of engine_test.visit is not exported"}},
		"keys that are pointers": {func(ssc *engine.StreamingContext) error {
			engine.CountByValue(engine.Map(numbers(ssc), func(i int) *int { return &i })).Print(1)
			return nil
		}, engine.ErrBuild, []string{"pointers are compared by address"}},
		"a union of two contexts": {func(ssc *engine.StreamingContext) error {
			if in := numbers(ssc); first == nil {
				first = in
			}
			first.Print(1)
			numbers(ssc).Union(first).Print(1)
			return nil
		}, rdd.ErrForeign, []string{"union at engine/stream_test.go:"}},
		"another graph in each process": {func(ssc *engine.StreamingContext) error {
			in := numbers(ssc)
			if builds++; builds%2 == 0 {
				in = in.Filter(func(int) bool { return true })
			}
			in.Print(1)
			return nil
		}, engine.ErrDiverged, []string{"the executor's copy: stream 2: filter of 1 at engine/stream_test.go:"}},
		"a value that fails": {func(ssc *engine.StreamingContext) error {
			engine.Value(ssc, "now", func(context.Context) (int, error) { return 0, errors.New("no clock") })
			numbers(ssc).Print(1)
			return nil
		}, engine.ErrBuild, []string{"value now at engine/stream_test.go:", "no clock"}},
		"a value after an error": {func(ssc *engine.StreamingContext) error {
			ssc.Fail("source", errors.New("nowhere"))
			engine.Value(ssc, "asks", func(context.Context) (int, error) { panic("it was asked for") })
			numbers(ssc).Print(1)
			return nil
		}, engine.ErrBuild, []string{"can't be built:\n  source at engine/stream_test.go:"}},
	} {
		err := run(t, c.build)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q is missing in\n%v", name, s, err)
			}
		}
	}
}

// A wrong command line is one error that says what to write instead.
func TestCommandLine(t *testing.T) {
	for line, want := range map[string]string{
		"--conf help":                                   "flag: help requested",
		"--conf nothing":                                `wrong use: invalid value "nothing" for flag --conf: it is not key=value; --conf help lists the settings`,
		"--conf locality.wait=3":                        `wrong use: invalid value "locality.wait=3" for flag --conf: "3" is not a duration, which has a unit, e.g. 500ms or 2s`,
		"--conf task.maxFailures=x":                     `wrong use: invalid value "task.maxFailures=x" for flag --conf: "x" is not a whole number`,
		"--conf streaming.backpressure.initialRate=Inf": `wrong use: invalid value "streaming.backpressure.initialRate=Inf" for flag --conf: "Inf" is not a number`,
		"--conf streaming.backpressure.enabled=si":      `wrong use: invalid value "streaming.backpressure.enabled=si" for flag --conf: "si" is neither true nor false`,
		"--conf task.maxFailures=0":                     `wrong use: invalid value "task.maxFailures=0" for flag --conf: 0 is below 1`,
		"--batch-interval 5":                            `wrong use: invalid value "5" for flag --batch-interval: "5" is not a duration, which has a unit, e.g. 500ms or 2s`,
		"--batch-interval 999us":                        `wrong use: the batch interval is 999µs, it must be at least 1ms, e.g. --batch-interval 500ms`,
		"--no-such":                                     `wrong use: unknown flag --no-such`,
		"--checkpont x":                                 `wrong use: unknown flag --checkpont; did you mean --checkpoint?`,
		"--metrics localhost":                           `wrong use: --metrics: address "localhost": missing port in address; it takes host:port, e.g. 127.0.0.1:7077`,
		"--version":                                     "flag: help requested",
		"stray":                                         `wrong use: "stray" is not a flag; flags begin with --`,
	} {
		app := engine.NewApp("test")
		err := app.Run(t.Context(), strings.Fields(line), time.Second, func(*engine.StreamingContext) error { return errors.New("it was built") })
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n%v, want\n%s", line, err, want)
		}
	}
}

// A program that can't be built leaves no checkpoint.
func TestRefusedProgramLeavesNoCheckpoint(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "checkpoint")
	err := engine.NewApp("test").Run(t.Context(), []string{"--checkpoint", dir}, time.Second, func(*engine.StreamingContext) error { return errors.New("no brokers") })
	if err == nil {
		t.Fatal("it ran")
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a checkpoint of a program that was refused: %v", err)
	}
}

func TestOtherProgramsCheckpoint(t *testing.T) {
	dir := t.TempDir()
	var seen, more []string
	if err := run(t, func(ssc *engine.StreamingContext) error {
		engine.ForEachBatch(numbers(ssc), stopAfter(ssc, 1, &seen))
		engine.ForEachBatch(numbers(ssc), stopAfter(ssc, 1, &more))
		return nil
	}, "--checkpoint", dir); err != nil {
		t.Fatal(err)
	}
	other := func(ssc *engine.StreamingContext) error {
		engine.ForEachBatch(numbers(ssc).Filter(func(int) bool { return true }), stopAfter(ssc, 2, &seen))
		return nil
	}
	const gone = "input queue (number 2 of those): the program has none"
	err := run(t, other, "--checkpoint", dir)
	if !errors.Is(err, engine.ErrOtherProgram) || !strings.Contains(err.Error(), gone) || !strings.Contains(err.Error(), "--allow-non-restored-state") {
		t.Error(err)
	}
	if err := run(t, other, "--checkpoint", dir, "--plan"); !errors.Is(err, engine.ErrOtherProgram) {
		t.Errorf("--plan: %v", err)
	}
	if err := run(t, other, "--checkpoint", dir, "--allow-non-restored-state"); err != nil || !slices.Equal(seen, []string{"1 [1 2]", "2 [3]"}) {
		t.Errorf("%q; %v", seen, err)
	}
}

// A task's failure tells operator, place and cause; a closure that uses what was
// set on the driver fails here as it would on a cluster, and says why.
func TestTaskErrors(t *testing.T) {
	tries := 0
	for name, c := range map[string]struct {
		build engine.BuildFunc
		says  []string
	}{
		"a panic": {func(ssc *engine.StreamingContext) error {
			engine.Map(numbers(ssc), func(i int) int { return 6 / (i - 4) }).Print(1)
			return nil
		}, []string{"batch 3", "map at engine/stream_test.go:", "panic at engine/stream_test.go:", "divide by zero", "partition", ", executor local)\ngithub.com/hibana-engine/hibana/engine_test.TestTaskErrors.func1.1\n\t"}},
		"a capture": {func(ssc *engine.StreamingContext) error {
			var names map[int]int
			ssc.OnDriver(func(context.Context) error { names = map[int]int{}; return nil })
			engine.Map(numbers(ssc), func(i int) int { names[i] = i; return i }).Print(1)
			return nil
		}, []string{"nil map", "engine.Value"}},
		"a capture that a record is blamed for": {func(ssc *engine.StreamingContext) error {
			var names map[int]int
			ssc.OnDriver(func(context.Context) error { names = map[int]int{}; return nil })
			engine.TryMap(numbers(ssc), func(i int) (int, error) { names[i] = i; return i, nil }).Print(1)
			return nil
		}, []string{"nil map", "index 0", "engine.Value"}},
		"a late transformation": {func(ssc *engine.StreamingContext) error {
			in := numbers(ssc)
			engine.ForEachBatch(in, func(engine.Batch, []int) error {
				engine.Map(in, func(i int) int { return i })
				return nil
			})
			return nil
		}, []string{"map at engine/stream_test.go:", "declare transformations in the build function"}},
		"too much for the driver": {func(ssc *engine.StreamingContext) error {
			engine.Map(numbers(ssc), func(int) string { return strings.Repeat("x", 500) }).Print(3)
			return nil
		}, []string{"larger than the limit"}},
	} {
		tries++
		err := run(t, c.build, "--conf", "driver.maxResultSize=400")
		if !errors.Is(err, engine.ErrBatchFailed) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q is missing in\n%v", name, s, err)
			}
		}
		if lines := strings.Count(err.Error(), "\n"); lines > 2 { // a stack without the engine's own frames
			t.Errorf("%s: %d lines:\n%v", name, lines+1, err)
		}
	}
}

// Effects run on the driver alone, in their order, and end with the stream.
func TestDriverEffects(t *testing.T) {
	var order []string
	note := func(s string) func(context.Context) error {
		return func(context.Context) error { order = append(order, s); return nil }
	}
	err := run(t, func(ssc *engine.StreamingContext) error {
		ssc.OnDriver(note("a"))
		ssc.OnDriver(note("b"))
		ssc.OnStop(note("last"))
		ssc.OnStop(note("first"))
		done := make(chan struct{})
		ssc.DriverTask("beside", func(ctx context.Context) error {
			<-ctx.Done()
			close(done)
			return ctx.Err()
		})
		ssc.OnStop(func(context.Context) error { <-done; return nil })
		engine.ForEachBatch(numbers(ssc), func(b engine.Batch, _ []int) error {
			if b.Seq == 2 {
				ssc.Stop()
			}
			return nil
		})
		return nil
	})
	if got := strings.Join(order, " "); err != nil || got != "a b first last" {
		t.Error(got, err)
	}
	broken := errors.New("the camera is gone")
	err = run(t, func(ssc *engine.StreamingContext) error {
		ssc.DriverTask("camera", func(context.Context) error { return broken })
		engine.ForEachBatch(numbers(ssc), func(engine.Batch, []int) error { return nil })
		return nil
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "driver task camera") {
		t.Error(err)
	}
}

// events notes what a listener is told.
type events struct{ seen []string }

func (e *events) OnStreamingStarted(time.Time) { e.seen = append(e.seen, "started") }
func (e *events) OnBatchSubmitted(b engine.BatchInfo) {
	e.seen = append(e.seen, fmt.Sprint("submitted ", b.Seq))
}
func (e *events) OnBatchStarted(b engine.BatchInfo) {
	e.seen = append(e.seen, fmt.Sprint("began ", b.Seq))
}
func (e *events) OnBatchCompleted(b engine.BatchInfo) {
	e.seen = append(e.seen, fmt.Sprint("completed ", b.Seq, " ", b.Records, " ", len(b.Inputs), " ", b.Inputs[0].Records))
}
func (e *events) OnOutputOperationStarted(o engine.OutputInfo) {
	e.seen = append(e.seen, fmt.Sprint("output began ", o.Seq, " ", o.Output))
}
func (e *events) OnOutputOperationCompleted(o engine.OutputInfo) {
	e.seen = append(e.seen, fmt.Sprint("output ", o.Seq, " ", o.Output))
}
func (e *events) OnStreamingStopped(err error) { e.seen = append(e.seen, fmt.Sprint("stopped ", err)) }

func TestListeners(t *testing.T) {
	e := &events{}
	err := run(t, func(ssc *engine.StreamingContext) error {
		ssc.AddListener(e)
		engine.ForEachBatch(numbers(ssc), func(engine.Batch, []int) error { ssc.Stop(); return nil })
		return nil
	})
	want := "started, submitted 1, began 1, output began 1 0, output 1 0, completed 1 2 1 2, stopped <nil>"
	if got := strings.Join(e.seen, ", "); err != nil || got != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
}

// A program that was edited without changing what it declares goes on with its
// checkpoint: the places in the file don't matter.
func TestEditedProgramGoesOn(t *testing.T) {
	dir := t.TempDir()
	var seen []string
	for _, build := range []engine.BuildFunc{
		func(ssc *engine.StreamingContext) error {
			engine.ForEachBatch(numbers(ssc), stopAfter(ssc, 1, &seen))
			return nil
		},
		func(ssc *engine.StreamingContext) error {
			// The same, some lines further down.
			engine.ForEachBatch(numbers(ssc), stopAfter(ssc, 2, &seen))
			return nil
		},
	} {
		if err := run(t, build, "--checkpoint", dir); err != nil {
			t.Fatal(err)
		}
	}
}

// A Transform that panics, or declares what belongs in the build function, fails
// the job with its reason, and what OnStop declared still runs.
func TestBadTransform(t *testing.T) {
	for want, f := range map[string]func(*engine.StreamingContext){
		"generating batch 1: panic at engine/stream_test.go": func(*engine.StreamingContext) { panic("no such camera") },
		"declare transformations in the build function": func(ssc *engine.StreamingContext) {
			numbers(ssc).Print(1)
		},
	} {
		stopped := false
		err := run(t, func(ssc *engine.StreamingContext) error {
			ssc.OnStop(func(context.Context) error { stopped = true; return nil })
			engine.Transform(numbers(ssc), func(_ engine.Batch, r *rdd.RDD[int]) *rdd.RDD[int] {
				f(ssc)
				return r
			}).Print(1)
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), want) || !stopped {
			t.Errorf("expected %q and OnStop (%v): %v", want, stopped, err)
		}
	}
}

// An interrupt while the program starts ends it without an error.
func TestInterruptWhileStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := engine.NewApp("starting").Run(ctx, []string{"--log-level", "error"}, time.Second, func(ssc *engine.StreamingContext) error {
			ssc.OnDriver(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			numbers(ssc).Print(1)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A driver whose clock is behind that of the one before it plans batches all the
// same, at the interval, with times that ascend.
func TestClockIsBehind(t *testing.T) {
	dir := t.TempDir()
	var times []time.Time
	for _, last := range []uint64{3, 6} { // each run's virtual clock begins anew
		began := time.Time{}
		err := run(t, func(ssc *engine.StreamingContext) error {
			began = time.Now()
			engine.ForEachBatch(numbers(ssc), func(b engine.Batch, _ []int) error {
				times = append(times, b.Time)
				if b.Seq == last {
					if took := time.Since(began); took > 4*time.Second {
						t.Errorf("three batches of a second took %s", took)
					}
					ssc.Stop()
				}
				return nil
			})
			return nil
		}, "--checkpoint", dir)
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := 1; i < len(times); i++ {
		if !times[i].After(times[i-1]) {
			t.Errorf("batch %d has time %s, the one before it %s", i+1, times[i], times[i-1])
		}
	}
	if len(times) < 6 {
		t.Errorf("%d batches", len(times))
	}
}
