package engine

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/launch"
	"github.com/hibana-engine/hibana/rdd"
)

// startJob runs a program as a process does, in virtual time. It returns what the
// log holds and what will come of it.
func startJob(t *testing.T, ctx context.Context, build BuildFunc, settings ...string) (log *lockedBuffer, ended <-chan error) {
	t.Helper()
	a := NewApp("test")
	for _, s := range settings {
		if err := a.opts.conf.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	j, err := a.newStream(time.Second, build)
	if err != nil {
		t.Fatal(err)
	}
	log = &lockedBuffer{}
	j.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if j.Batches, err = launch.OpenLog("", j.Log); err != nil {
		t.Fatal(err)
	}
	j.Stdout = log
	over := make(chan error, 1)
	go func() { over <- j.RunProcess(ctx, ctx, &launch.Local{Slots: 2}) }()
	return log, over
}

// lockedBuffer is written by several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// lines counts the lines that hold all of some words.
func (b *lockedBuffer) lines(words ...string) (n int) {
	for line := range strings.Lines(b.String()) {
		hit := 1
		for _, w := range words {
			if !strings.Contains(line, w) {
				hit = 0
			}
		}
		n += hit
	}
	return n
}

// A failure is told when it happens, and the process ends although functions of
// the program don't return.
func TestFailureIsToldAtOnce(t *testing.T) {
	tests := []struct {
		name    string
		build   func(ssc *StreamingContext, block <-chan struct{})
		failed  string // what the line says at once
		running string // what the last line says
	}{
		{"a driver task beside an output", func(ssc *StreamingContext, block <-chan struct{}) {
			ssc.DriverTask("bad", func(context.Context) error { time.Sleep(3 * time.Second); return errors.New("no licence") })
			ForEachBatch(QueueStream(ssc, [][]int{{1}}, 1), func(Batch, []int) error { <-block; return nil })
		}, `"driver task bad: no licence"`, "forEachBatch at engine/failing_test.go:"},
		{"a task beside its neighbour", func(ssc *StreamingContext, block <-chan struct{}) {
			begun := make(chan struct{})
			s := Map(QueueStream(ssc, [][]int{{1, 2}}, 2), func(v int) int {
				if v == 1 {
					close(begun)
					<-block
				}
				<-begun
				panic("boom")
			})
			ForEachBatch(s, func(Batch, []int) error { return nil })
		}, "boom (batch 1, output 0", "a task of map at engine/failing_test.go:"},
		{"an output beside a driver task", func(ssc *StreamingContext, block <-chan struct{}) {
			ssc.DriverTask("server", func(context.Context) error { <-block; return nil })
			ForEachBatch(QueueStream(ssc, [][]int{{1}}, 1), func(Batch, []int) error { return errors.New("no room") })
		}, "no room", "driver task server (for "},
		{"a listener beside an output", func(ssc *StreamingContext, block <-chan struct{}) {
			ssc.AddListener(badListener{})
			ssc.OnStop(func(context.Context) error { <-block; return nil })
			ForEachBatch(QueueStream(ssc, [][]int{{1}}, 1), func(Batch, []int) error { return nil })
		}, "listener engine.badListener, OnBatchCompleted: ", "OnStop at engine/failing_test.go:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				block := make(chan struct{})
				log, ended := startJob(t, t.Context(), func(ssc *StreamingContext) error { tt.build(ssc, block); return nil })
				time.Sleep(5 * time.Second)
				synctest.Wait()
				if log.lines("level=ERROR", "the stream has failed", tt.failed) != 1 {
					t.Errorf("the log after 5 s:\n%s", log)
				}
				select {
				case err := <-ended:
					t.Fatalf("it ended before its patience did: %v", err)
				default:
				}
				err := <-ended
				if err == nil || log.lines("level=ERROR", "doesn't wait any longer", tt.running) != 1 {
					t.Errorf("it ended with %v; the log:\n%s", err, log)
				}
				close(block)
				synctest.Wait() // what was left behind ends now
			})
		})
	}
}

type badListener struct{}

func (badListener) OnBatchCompleted(BatchInfo) { panic("boom") }

// Attempts that failed are told.
func TestFailedAttemptsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, ended := startJob(t, t.Context(), func(ssc *StreamingContext) error {
			s := Map(QueueStream(ssc, [][]int{{1}}, 1), func(int) int { panic("boom") })
			s.Print(1)
			return nil
		})
		if err := <-ended; err == nil || log.lines("task failed", "boom") != 4 {
			t.Errorf("ended with %v; the log:\n%s", err, log)
		}
	})
}

// An interrupt ends the process at once if it is to, whatever the program does; else
// the process finishes what is planned.
func TestInterrupt(t *testing.T) {
	for name, build := range map[string]func(ssc *StreamingContext, block <-chan struct{}){
		"a task": func(ssc *StreamingContext, block <-chan struct{}) {
			Map(QueueStream(ssc, [][]int{{1}}, 1), func(v int) int { <-block; return v }).Print(1)
		},
		"an output": func(ssc *StreamingContext, block <-chan struct{}) {
			ForEachBatch(QueueStream(ssc, [][]int{{1}}, 1), func(Batch, []int) error { <-block; return nil })
		},
		"an effect": func(ssc *StreamingContext, block <-chan struct{}) {
			ssc.OnDriver(func(context.Context) error { <-block; return nil })
			QueueStream(ssc, [][]int{{1}}, 1).Print(1)
		},
	} {
		for setting, want := range map[string]error{"false": ErrStopped, "true": nil} {
			t.Run(name+", gracefully "+setting, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, interrupt := context.WithCancel(t.Context())
					block := make(chan struct{})
					log, ended := startJob(t, ctx, func(ssc *StreamingContext) error { build(ssc, block); return nil },
						"streaming.stopGracefullyOnShutdown="+setting)
					time.Sleep(5 * time.Second)
					interrupt()
					time.Sleep(time.Second)
					synctest.Wait()
					select {
					case err := <-ended:
						if want == nil || !errors.Is(err, want) {
							t.Errorf("a second later it ended with %v; the log:\n%s", err, log)
						}
						close(block)
					default:
						if want != nil {
							t.Errorf("a second later it hasn't ended; the log:\n%s", log)
						}
						close(block)
						if err := <-ended; err != nil {
							t.Error(err)
						}
					}
					synctest.Wait()
				})
			})
		}
	}
}

// What a driver's function is called stands once in the error of its panic.
func TestPanicsAreNamedOnce(t *testing.T) {
	for name, build := range map[string]func(ssc *StreamingContext){
		"driver task t: ":                     func(ssc *StreamingContext) { ssc.DriverTask("t", func(context.Context) error { panic("boom") }) },
		"OnDriver at engine/failing_test.go:": func(ssc *StreamingContext) { ssc.OnDriver(func(context.Context) error { panic("boom") }) },
		"forEachBatch": func(ssc *StreamingContext) {
			ForEachBatch(QueueStream(ssc, [][]int{{1}}, 1), func(Batch, []int) error { panic("boom") })
		},
		"value v at ": func(ssc *StreamingContext) {
			PerBatch(ssc, "v", func(context.Context, Batch) (int, error) { panic("boom") })
		},
		"OnStop at engine/failing_test.go:": func(ssc *StreamingContext) {
			ssc.OnStop(func(context.Context) error { panic("boom") })
			ssc.OnDriver(func(context.Context) error { ssc.Stop(); return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, ended := startJob(t, t.Context(), func(ssc *StreamingContext) error {
					build(ssc)
					QueueStream(ssc, [][]int{{1}}, 1).Print(1)
					return nil
				})
				err := <-ended
				if err == nil {
					t.Fatal("it didn't fail")
				}
				first, _, _ := strings.Cut(err.Error(), "\n")
				if strings.Count(first, name) != 1 || !strings.Contains(first, "panic at ") {
					t.Error(first)
				}
			})
		})
	}
}

// Code of the program that ends its goroutine, as a test's FailNow does, fails the
// stream wherever the driver calls it.
func TestGoexitFails(t *testing.T) {
	for name, build := range map[string]func(ssc *StreamingContext){
		"ForEachBatch": func(ssc *StreamingContext) {
			ForEachBatch(QueueStream(ssc, [][]int{{1}}, 1), func(Batch, []int) error { runtime.Goexit(); return nil })
		},
		"PerBatch": func(ssc *StreamingContext) {
			PerBatch(ssc, "v", func(context.Context, Batch) (int, error) { runtime.Goexit(); return 0, nil })
		},
		"Transform": func(ssc *StreamingContext) {
			Transform(QueueStream(ssc, [][]int{{1}}, 1), func(_ Batch, r *rdd.RDD[int]) *rdd.RDD[int] { runtime.Goexit(); return r }).Print(1)
		},
		"OnDriver": func(ssc *StreamingContext) {
			ssc.OnDriver(func(context.Context) error { runtime.Goexit(); return nil })
		},
		"Value": func(ssc *StreamingContext) {
			Value(ssc, "v", func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
		},
		"build":    func(*StreamingContext) { runtime.Goexit() },
		"listener": func(ssc *StreamingContext) { ssc.AddListener(exitingListener{}) },
		"OnStop": func(ssc *StreamingContext) {
			ssc.OnStop(func(context.Context) error { runtime.Goexit(); return nil })
			ssc.OnDriver(func(context.Context) error { ssc.Stop(); return nil })
		},
		"a decoder": func(ssc *StreamingContext) {
			Map(QueueStream(ssc, [][]int{{1}}, 1), func(int) int { runtime.Goexit(); return 0 }).Print(1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, ended := startJob(t, t.Context(), func(ssc *StreamingContext) error {
					QueueStream(ssc, [][]int{{1}}, 1).Print(1)
					build(ssc)
					return nil
				})
				if err := <-ended; err == nil || !strings.Contains(err.Error(), "ended its goroutine") {
					t.Error(err)
				}
			})
		})
	}
}

type exitingListener struct{}

func (exitingListener) OnBatchCompleted(BatchInfo) { runtime.Goexit() }

// What a task's code panicked or failed with is found by errors.Is where the task ran
// in this process; and an error names the operator whose function returned it.
func TestErrorsOfTasks(t *testing.T) {
	sentinel := errors.New("no licence")
	for name, c := range map[string]struct {
		build func(in *DStream[int])
		says  string
	}{
		"a panic": {func(in *DStream[int]) { Map(in, func(int) int { panic(sentinel) }).Print(1) }, "map at engine/failing_test.go:"},
		"an error of MapPartitions": {func(in *DStream[int]) {
			failing := TryMapPartitions(in, func(_ rdd.Part, _ iter.Seq2[int, error]) iter.Seq2[int, error] {
				return func(yield func(int, error) bool) { yield(0, sentinel) }
			})
			Map(failing, func(i int) int { return i }).Print(1)
		}, "tryMapPartitions at engine/failing_test.go:"},
		"an error of ForEachPartition": {func(in *DStream[int]) {
			ForEachPartition(Map(in, func(i int) int { return i }), func(Batch, rdd.Part, iter.Seq2[int, error]) error { return sentinel })
		}, "forEachPartition at engine/failing_test.go:"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, ended := startJob(t, t.Context(), func(ssc *StreamingContext) error {
					c.build(QueueStream(ssc, [][]int{{1}}, 1))
					return nil
				})
				if err := <-ended; !errors.Is(err, sentinel) || !strings.Contains(err.Error(), c.says) {
					t.Error(err)
				}
			})
		})
	}
}

// Declarations that can't be meant are errors of the program, said once.
func TestWrongDeclarations(t *testing.T) {
	for says, build := range map[string]func(ssc *StreamingContext){
		"onStop at engine/failing_test.go:":     func(ssc *StreamingContext) { ssc.OnStop(nil) },
		"has none of the methods of a listener": func(ssc *StreamingContext) { ssc.AddListener(struct{}{}) },
		"<nil> has none of the methods of":      func(ssc *StreamingContext) { ssc.AddListener(nil) },
		"the number of partitions must be from 1": func(ssc *StreamingContext) {
			CountByValue(QueueStream(ssc, [][]int{{1}}, 1), rdd.Partitions(1<<40)).Print(1)
		},
	} {
		t.Run(says, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, ended := startJob(t, t.Context(), func(ssc *StreamingContext) error {
					QueueStream(ssc, [][]int{{1}}, 1).Print(1)
					build(ssc)
					return nil
				})
				if err := <-ended; !errors.Is(err, ErrBuild) || strings.Count(err.Error(), says) != 1 || strings.Contains(err.Error(), "panic") {
					t.Error(err)
				}
			})
		})
	}
}
