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
