package engine_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// What can only be declared in the build function fails the job when it comes
// later, wherever that is, and says where.
func TestDeclaredTooLate(t *testing.T) {
	late := map[string]func(ssc *engine.StreamingContext, in *engine.DStream[int]){
		"cache":           func(_ *engine.StreamingContext, in *engine.DStream[int]) { in.Cache() },
		"persist":         func(_ *engine.StreamingContext, in *engine.DStream[int]) { in.Persist(rdd.DiskOnly) },
		"named":           func(_ *engine.StreamingContext, in *engine.DStream[int]) { in.Named("x") },
		"map":             func(_ *engine.StreamingContext, in *engine.DStream[int]) { engine.Map(in, double) },
		"saveAsTextFiles": func(_ *engine.StreamingContext, in *engine.DStream[int]) { engine.SaveAsTextFiles(in, "/tmp/late", "") },
		"print":           func(_ *engine.StreamingContext, in *engine.DStream[int]) { in.Print(1) },
		"queue":           func(ssc *engine.StreamingContext, _ *engine.DStream[int]) { engine.QueueStream[int](ssc, nil, 1) },
		"onDriver":        func(ssc *engine.StreamingContext, _ *engine.DStream[int]) { ssc.OnDriver(nothing) },
		"onStop":          func(ssc *engine.StreamingContext, _ *engine.DStream[int]) { ssc.OnStop(nothing) },
		"driverTask":      func(ssc *engine.StreamingContext, _ *engine.DStream[int]) { ssc.DriverTask("t", nothing) },
		"addListener":     func(ssc *engine.StreamingContext, _ *engine.DStream[int]) { ssc.AddListener(1) },
		"fail":            func(ssc *engine.StreamingContext, _ *engine.DStream[int]) { ssc.Fail("fail", errors.New("no")) },
		"value": func(ssc *engine.StreamingContext, _ *engine.DStream[int]) {
			engine.Value(ssc, "v", func(context.Context) (int, error) { return 0, nil })
		},
		"perBatch": func(ssc *engine.StreamingContext, _ *engine.DStream[int]) {
			engine.PerBatch(ssc, "v", func(context.Context, engine.Batch) (int, error) { return 0, nil })
		},
		"model": func(ssc *engine.StreamingContext, _ *engine.DStream[int]) {
			engine.NewModel(ssc, "m", nil, func([]byte) (int, error) { return 0, nil })
		},
	}
	for op, f := range late {
		for where, build := range map[string]engine.BuildFunc{
			"an output": func(ssc *engine.StreamingContext) error {
				in := numbers(ssc)
				engine.ForEachBatch(in, func(engine.Batch, []int) error { f(ssc, in); return nil })
				return nil
			},
			"a task": func(ssc *engine.StreamingContext) error {
				in := numbers(ssc)
				engine.Map(in, func(i int) int { f(ssc, in); return i }).Print(1)
				return nil
			},
			"the last output": func(ssc *engine.StreamingContext) error {
				in := numbers(ssc)
				ssc.DriverTask("ends", func(ctx context.Context) error {
					<-ctx.Done()
					f(ssc, in)
					return nil
				})
				engine.ForEachBatch(in, func(engine.Batch, []int) error { ssc.Stop(); return nil })
				return nil
			},
		} {
			err := run(t, build)
			if err == nil || !strings.Contains(err.Error(), op) || !strings.Contains(err.Error(), "at engine/late_test.go:") || !strings.Contains(err.Error(), "the program runs already") {
				t.Errorf("%s in %s: %v", op, where, err)
			}
			var frozen *lineage.FrozenError
			if where != "a task" && !errors.As(err, &frozen) {
				t.Errorf("%s in %s: %v", op, where, err)
			}
		}
	}
}

func nothing(context.Context) error { return nil }

// An operator of RDDs that is called in a task, an output or another batch fails
// the job.
func TestRDDOperatorTooLate(t *testing.T) {
	keep := func(in *engine.DStream[int], kept **rdd.RDD[int]) *engine.DStream[int] {
		return engine.Transform(in, func(_ engine.Batch, r *rdd.RDD[int]) *rdd.RDD[int] { *kept = r; return r })
	}
	for where, build := range map[string]engine.BuildFunc{
		"a task": func(ssc *engine.StreamingContext) error {
			var kept *rdd.RDD[int]
			engine.Map(keep(numbers(ssc), &kept), func(i int) int { rdd.Map(kept, double); return i }).Print(1)
			return nil
		},
		"a partition": func(ssc *engine.StreamingContext) error {
			var kept *rdd.RDD[int]
			engine.ForEachPartition(keep(numbers(ssc), &kept), func(_ engine.Batch, _ rdd.Part, rows iter.Seq2[int, error]) error {
				for range rows {
					rdd.Map(kept, double)
				}
				return nil
			})
			return nil
		},
		"an output": func(ssc *engine.StreamingContext) error {
			var kept *rdd.RDD[int]
			engine.ForEachBatch(keep(numbers(ssc), &kept), func(engine.Batch, []int) error { rdd.Map(kept, double); return nil })
			return nil
		},
	} {
		err := run(t, build)
		if err == nil || !strings.Contains(err.Error(), "map at engine/late_test.go:") || !strings.Contains(err.Error(), "batch 1 is planned already") {
			t.Errorf("%s: %v", where, err)
		}
	}
}

// There is nothing to stop in the build function.
func TestStopWhileBuilding(t *testing.T) {
	err := run(t, func(ssc *engine.StreamingContext) error {
		numbers(ssc).Print(1)
		ssc.Stop()
		return nil
	})
	var frozen *lineage.FrozenError
	if !errors.Is(err, engine.ErrBuild) || !errors.As(err, &frozen) || !strings.Contains(err.Error(), "stop at engine/late_test.go:") {
		t.Error(err)
	}
}

// A Transform must return an RDD of its batch.
func TestTransformOfAnotherBatch(t *testing.T) {
	for name, c := range map[string]struct {
		f    func() func(engine.Batch, *rdd.RDD[int]) *rdd.RDD[int]
		want error
		says string
	}{
		"nil": {func() func(engine.Batch, *rdd.RDD[int]) *rdd.RDD[int] {
			return func(engine.Batch, *rdd.RDD[int]) *rdd.RDD[int] { return nil }
		}, rdd.ErrNil, "generating batch 1: transform at engine/late_test.go:"},
		"an empty one": {func() func(engine.Batch, *rdd.RDD[int]) *rdd.RDD[int] {
			return func(engine.Batch, *rdd.RDD[int]) *rdd.RDD[int] { return &rdd.RDD[int]{} }
		}, rdd.ErrNil, "generating batch 1: transform at engine/late_test.go:"},
		"one that was kept": {func() func(engine.Batch, *rdd.RDD[int]) *rdd.RDD[int] {
			var kept *rdd.RDD[int]
			return func(_ engine.Batch, r *rdd.RDD[int]) *rdd.RDD[int] {
				if kept == nil {
					kept = r
				}
				return kept
			}
		}, rdd.ErrForeign, "generating batch 2: transform at engine/late_test.go:"},
		"one made of one that was kept": {func() func(engine.Batch, *rdd.RDD[int]) *rdd.RDD[int] {
			var kept *rdd.RDD[int]
			return func(_ engine.Batch, r *rdd.RDD[int]) *rdd.RDD[int] {
				if kept == nil {
					kept = r
				}
				return rdd.Map(kept, double)
			}
		}, rdd.ErrForeign, "generating batch 2: transform at engine/late_test.go:"},
		"a union with one that was kept": {func() func(engine.Batch, *rdd.RDD[int]) *rdd.RDD[int] {
			var kept *rdd.RDD[int]
			return func(_ engine.Batch, r *rdd.RDD[int]) *rdd.RDD[int] {
				if kept == nil {
					kept = r
				}
				return r.Union(kept)
			}
		}, rdd.ErrForeign, "generating batch 2: union at engine/late_test.go:"},
		"a union with none": {func() func(engine.Batch, *rdd.RDD[int]) *rdd.RDD[int] {
			return func(_ engine.Batch, r *rdd.RDD[int]) *rdd.RDD[int] { return r.Union(nil) }
		}, rdd.ErrNil, "generating batch 1: union at engine/late_test.go:"},
	} {
		for _, cached := range []bool{false, true} {
			err := run(t, func(ssc *engine.StreamingContext) error {
				out := engine.Transform(numbers(ssc), c.f())
				if cached {
					out.Cache()
				}
				engine.Map(out, double).Print(1)
				return nil
			})
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// A function or an encoder that panics is blamed on its own operator.
func TestBlameNamesTheOutput(t *testing.T) {
	for op, build := range map[string]engine.BuildFunc{
		"forEachPartition": func(ssc *engine.StreamingContext) error {
			engine.ForEachPartition(numbers(ssc), func(_ engine.Batch, _ rdd.Part, rows iter.Seq2[int, error]) error {
				for range rows {
					panic("boom")
				}
				return nil
			})
			return nil
		},
		"print": func(ssc *engine.StreamingContext) error {
			engine.Map(numbers(ssc), func(i int) unlucky { return unlucky{i} }).Print(1)
			return nil
		},
		"countByValue": func(ssc *engine.StreamingContext) error {
			engine.CountByValue(engine.Map(numbers(ssc), func(i int) unlucky { return unlucky{i} })).Print(1)
			return nil
		},
	} {
		if err := run(t, build); err == nil || !strings.Contains(err.Error(), ": "+op+" at engine/late_test.go:") || !strings.Contains(err.Error(), "boom") {
			t.Errorf("%s: %v", op, err)
		}
	}
	broken := errors.New("the screen is gone")
	err := run(t, func(ssc *engine.StreamingContext) error {
		engine.ForEachBatch(numbers(ssc), func(engine.Batch, []int) error { panic(broken) })
		return nil
	})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
}

// unlucky is a type whose encoder panics.
type unlucky struct{ N int }

func (unlucky) MarshalText() ([]byte, error) { panic("boom") }

func (*unlucky) UnmarshalText([]byte) error { return nil }
