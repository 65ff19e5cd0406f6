package launch

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/batchlog"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// testLog is a batch log that notes what is written to it.
type testLog struct {
	plan.Log
	writes []string
}

func newTestLog() *testLog { return &testLog{Log: typedLog{new(batchlog.Memory)}} }

func (l *testLog) Start(ctx context.Context, h plan.JobHeader) (uint64, error) {
	l.writes = append(l.writes, "start")
	return l.Log.Start(ctx, h)
}

func (l *testLog) RecordValue(ctx context.Context, v plan.NamedValue) error {
	l.writes = append(l.writes, "value "+v.Name)
	return l.Log.RecordValue(ctx, v)
}

// recorded returns what the log holds.
func (l *testLog) recorded(t *testing.T) plan.LogState {
	t.Helper()
	s, err := l.Recover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// testPlanner plans empty batches and notes that it was closed.
type testPlanner struct{ effects *[]string }

func (p testPlanner) Plan(context.Context, plan.PlanRequest) (plan.Share, error) {
	return plan.Share{}, nil
}
func (p testPlanner) Beside(*task.Process) error              { return nil }
func (p testPlanner) Notify(func()) error                     { return nil }
func (p testPlanner) UntilEnd(context.Context) error          { return nil }
func (p testPlanner) Receiving() plan.Receiving               { return nil }
func (p testPlanner) Completed(context.Context, []byte) error { return nil }
func (p testPlanner) Close() error {
	*p.effects = append(*p.effects, "close")
	return nil
}

// testJob is a job with a value, an input and an output that stops it at a batch.
// effects are what it did on the driver, in order.
func testJob(log plan.Log, standby bool, last uint64, effects *[]string) *Job {
	note := func(what string) { *effects = append(*effects, what) }
	return &Job{
		App: "test", Interval: time.Second, Settings: plan.DefaultSettings(), Batches: log, Durable: true,
		Log: slog.New(slog.DiscardHandler), Stdout: io.Discard, standby: standby,
		Build: func(ctx context.Context, p *plan.Program) error {
			return p.Build(func() error {
				_, err := p.Values.Get(ctx, "v", func(context.Context) ([]byte, error) { note("value"); return []byte("1"), nil })
				if err != nil {
					p.Fail("value v", err)
					return nil
				}
				p.OnDriver = append(p.OnDriver, plan.Effect{Run: func(context.Context) error { note("onDriver"); return nil }})
				in := &plan.Input{Stream: p.Graph.AddStream(plan.Declared("in")), Open: func(context.Context) (plan.Planner, error) {
					note("open")
					return testPlanner{effects}, nil
				}}
				p.Graph.Inputs = append(p.Graph.Inputs, in)
				p.Graph.Outputs = append(p.Graph.Outputs, &plan.Output{
					Declaration: plan.Declared("out"), Parent: plan.Parent{ID: in.ID},
					Action: func(g *plan.Generation) lineage.Action {
						r := rdd.Source(g.RDDs, "in", lineage.Site{}, 1, func(*task.Context, int) iter.Seq2[int, error] {
							return func(func(int, error) bool) {}
						})
						return rdd.PartitionAction(r, "output", func(*task.Context, iter.Seq2[int, error]) ([]byte, error) { return nil, nil })
					},
					OnDriver: func(_ context.Context, a *plan.Allocation, _ [][]byte) error {
						if a.Seq >= last {
							p.Driver().Stop()
						}
						return nil
					},
				})
				return nil
			})
		},
	}
}

// A standby that is prepared has no effect that anybody can see: nothing is
// recorded, no effect of the program runs. Activated, it goes on where the driver
// before was, also with what that one logged since.
func TestPreparedStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newTestLog()
		var effects []string
		fresh, err := testJob(log, true, 2, &effects).prepare(t.Context(), &Local{Slots: 1})
		if err != nil || fresh.program != nil || len(log.writes)+len(effects) > 0 {
			t.Fatalf("prepared before the first driver: %v, program %v, written %v, done %v", err, fresh, log.writes, effects)
		}

		if err := testJob(log, false, 1, &effects).Run(t.Context(), t.Context(), &Local{Slots: 1}); err != nil {
			t.Fatal(err)
		}
		if want := []string{"value", "onDriver", "open", "close"}; !slices.Equal(effects, want) {
			t.Fatalf("the first driver did %v, want %v", effects, want)
		}

		effects, log.writes = nil, nil
		m := &Local{Slots: 1}
		under, err := testJob(log, true, 3, &effects).prepare(t.Context(), m)
		if err != nil || under.program == nil || !slices.Equal(effects, []string{"open"}) || len(log.writes) > 0 {
			t.Fatalf("prepared beside a driver: %v, written %v, done %v", err, log.writes, effects)
		}
		if err := errors.Join(under.activate(t.Context(), t.Context()), m.close()); err != nil {
			t.Fatal(err)
		}
		if want := []string{"open", "onDriver", "close"}; !slices.Equal(effects, want) || !slices.Equal(log.writes, []string{"start"}) {
			t.Errorf("activated it did %v, want %v; it wrote %v", effects, want, log.writes)
		}
		if s := log.recorded(t); s.Last.Seq != 3 || s.Epoch != 2 {
			t.Errorf("it went on to batch %d in epoch %d, want 3 and 2", s.Last.Seq, s.Epoch)
		}

		effects, log.writes = nil, nil
		m = &Local{Slots: 1}
		fresh.job, fresh.master = testJob(log, true, 4, &effects), m
		if err := errors.Join(fresh.activate(t.Context(), t.Context()), m.close()); err != nil {
			t.Fatal(err)
		}
		if want := []string{"onDriver", "open", "close"}; !slices.Equal(effects, want) || log.recorded(t).Last.Seq != 4 {
			t.Errorf("the one prepared first did %v, want %v, up to batch %d", effects, want, log.recorded(t).Last.Seq)
		}
	})
}
