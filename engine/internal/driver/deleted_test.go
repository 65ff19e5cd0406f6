package driver

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
)

// deleting is a job of whose input records are deleted, before each plan and after it.
type deleting struct {
	clocked
	before, after int64
}

func (j *deleting) Plan(context.Context, plan.PlanRequest) (plan.Share, error) {
	return plan.Share{Records: 100, Lost: j.before}, nil
}

func (j *deleting) Run(context.Context, *plan.Generation, int32) (*scheduler.JobResult, error) {
	time.Sleep(100 * time.Millisecond)
	return &scheduler.JobResult{Metrics: task.Metrics{Lost: j.after}}, nil
}

// What a plan left out, as deleted, isn't among the batch's records, so the rate learns from
// the others. Where tasks find that records are gone it learns nothing.
func TestRateWhereRecordsAreDeleted(t *testing.T) {
	for name, c := range map[string]struct {
		job    *deleting
		learns bool
	}{
		"none":            {&deleting{}, true},
		"before the plan": {&deleting{before: 7}, true},
		"after it":        {&deleting{after: 7}, false},
		"both":            {&deleting{before: 7, after: 7}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			job := c.job
			job.began, job.stop, job.last = time.Now(), stop, 3
			p := &plan.Program{Interval: time.Second, Settings: plan.DefaultSettings()}
			p.Settings.Backpressure = true
			in := &plan.Input{Stream: p.Graph.AddStream(plan.Declaration{Op: "queue"}), Open: func(context.Context) (plan.Planner, error) { return job, nil }}
			p.Graph.Inputs = []*plan.Input{in}
			p.Graph.Outputs = []*plan.Output{{Declaration: plan.Declaration{Op: "sink"}, Parent: plan.Parent{ID: in.ID}, Action: func(g *plan.Generation) lineage.Action {
				return lineage.Action{Final: rdd.Parallelize(g.RDDs, []int{1}).Node()}
			}}}
			d := New(Config{Program: p, Batches: job, Cluster: job, Troubles: new(plan.Troubles), Log: slog.New(slog.DiscardHandler)})
			if err := d.Run(ctx); err != nil {
				t.Fatal(err)
			}
			if learns := d.rate.estimate() != nil; learns != c.learns {
				t.Errorf("%s: the rate knows something: %t", name, learns)
			}
		})
	}
}
