package driver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/scheduler"
)

// failingLog is a job whose log can't take what ends its first batch.
type failingLog struct {
	clocked
	mu   sync.Mutex
	told []string // completions, and batches that begin and end
}

var errFull = errors.New("the disk is full")

func (l *failingLog) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, fmt.Sprintf(format, args...))
}

func (l *failingLog) Complete(_ context.Context, c plan.Completion) error {
	if c.Seq == 1 && c.Output == plan.BatchDone {
		time.Sleep(2500 * time.Millisecond)
		return errFull
	}
	l.note("output %d of %d", c.Output, c.Seq)
	return nil
}

func (l *failingLog) Run(context.Context, *plan.Generation, int32) (*scheduler.JobResult, error) {
	return &scheduler.JobResult{}, nil
}

// A batch whose end can't be logged isn't over for those behind it, whose ends aren't logged
// either; and no other batch begins.
func TestBatchThatCannotEnd(t *testing.T) {
	for jobs, want := range map[int][]string{
		1: {"begins 1"},
		3: {"begins 1", "begins 2", "output 0 of 2", "begins 3", "output 0 of 3"},
	} {
		synctest.Test(t, func(t *testing.T) {
			log := &failingLog{clocked: clocked{began: time.Now()}}
			p := &plan.Program{Interval: time.Second, Settings: plan.DefaultSettings()}
			p.Settings.ConcurrentJobs = jobs
			in := &plan.Input{Stream: p.Graph.AddStream(plan.Declaration{Op: "queue"}), Open: func(context.Context) (plan.Planner, error) { return &log.clocked, nil }}
			p.Graph.Inputs = []*plan.Input{in}
			p.Graph.Outputs = []*plan.Output{{Declaration: plan.Declaration{Op: "sink"}, Parent: plan.Parent{ID: in.ID}, Action: func(g *plan.Generation) lineage.Action {
				return lineage.Action{Final: rdd.Parallelize(g.RDDs, []int{1}).Node()}
			}}}
			d := New(Config{Program: p, Batches: log, Cluster: log, Troubles: new(plan.Troubles), Log: slog.New(slog.DiscardHandler), Listeners: []plan.Listener{func(e plan.Event) {
				switch e := e.(type) {
				case plan.BatchStarted:
					log.note("begins %d", e.Seq)
				case plan.BatchCompleted:
					log.note("ends %d", e.Seq)
				}
			}}})
			if err := d.Run(t.Context()); !errors.Is(err, errFull) {
				t.Errorf("%d at a time: %v", jobs, err)
			}
			if !slices.Equal(log.told, want) {
				t.Errorf("%d at a time:\n got %q\nwant %q", jobs, log.told, want)
			}
		})
	}
}

// A batch that waits for the one before it isn't said to be slow, and doesn't count as work.
func TestWaitingForATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &clocked{began: time.Now(), last: 3}
		p := &plan.Program{Interval: time.Second, Settings: plan.DefaultSettings()}
		p.Settings.ConcurrentJobs = 3
		in := &plan.Input{Stream: p.Graph.AddStream(plan.Declaration{Op: "queue"}), Open: func(context.Context) (plan.Planner, error) { return log, nil }}
		p.Graph.Inputs = []*plan.Input{in}
		p.Graph.Outputs = []*plan.Output{{Declaration: plan.Declaration{Op: "sink"}, Parent: plan.Parent{ID: in.ID},
			Action: func(g *plan.Generation) lineage.Action {
				return lineage.Action{Final: rdd.Parallelize(g.RDDs, []int{1}).Node()}
			},
			OnDriver: func(_ context.Context, a *plan.Allocation, _ [][]byte) error {
				if a.Seq == 1 {
					time.Sleep(15 * time.Second)
				}
				return nil
			},
		}}
		var troubles plan.Troubles
		var took [6]time.Duration // of the output and of all of batch 1, of batch 2, …
		d := New(Config{Program: p, Batches: log, Cluster: log, Troubles: &troubles, Log: slog.New(slog.DiscardHandler), Listeners: []plan.Listener{func(e plan.Event) {
			switch e := e.(type) {
			case plan.OutputCompleted:
				took[2*e.Seq-2] = e.Duration
			case plan.BatchCompleted:
				took[2*e.Seq-1] = e.ProcessingTime
			}
		}}})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		log.stop = stop
		time.AfterFunc(15500*time.Millisecond, func() {
			if text, _ := troubles.Now(); text != "batch 1: sink at an unknown place has taken 14s so far" {
				t.Errorf("%q", text)
			}
		})
		if err := d.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if want := [6]time.Duration{15 * time.Second, 15 * time.Second}; took != want {
			t.Errorf("outputs and batches took %v, want %v", took, want)
		}
	})
}

// What batches reach back to is known to inputs also where the first of these isn't in the
// history: after the program was changed, or since the runner has just forgotten it.
func TestKeptRanges(t *testing.T) {
	d := New(Config{Program: &plan.Program{}})
	for seq := uint64(7); seq <= 9; seq++ {
		d.history.Add(&plan.Allocation{Seq: seq, Inputs: []plan.InputAllocation{{DStream: 1, Ranges: fmt.Append(nil, seq)}}})
	}
	d.kept.Store(6)
	if kept := d.keptRanges(1); kept != nil {
		t.Errorf("no batch reaches back, and %q is kept", kept)
	}
	d.reach = time.Minute
	if kept := d.keptRanges(1); string(kept) != "7" {
		t.Errorf("%q is kept, want what batch 7 read", kept)
	}
	d.history.Forget(9)
	if kept := d.keptRanges(1); string(kept) != "9" {
		t.Errorf("%q is kept, want what batch 9 read", kept)
	}
	if kept := d.keptRanges(2); kept != nil {
		t.Errorf("%q is kept of an input that was never planned", kept)
	}
}
