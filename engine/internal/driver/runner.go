package driver

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// runBatches is the JobScheduler: it runs the batches in order, and the outputs
// of each in the order of their declaration, until the queue is closed.
func (d *Driver) runBatches(ctx context.Context) error {
	for {
		select {
		case b, ok := <-d.queue:
			if !ok {
				return nil
			}
			<-d.room
			if err := d.runBatch(ctx, b); err != nil {
				return err
			}
			d.under.Add(-1)
			select {
			case d.freed <- struct{}{}:
			default:
			}
		case <-ctx.Done():
			return nil // the cause is known to who ended it
		}
	}
}

// runBatch runs the outputs of a batch that aren't done yet.
func (d *Driver) runBatch(ctx context.Context, b *plannedBatch) error {
	started := time.Now()
	b.info.Pending = len(d.queue)
	b.info.SchedulingDelay = max(0, started.Sub(b.info.Time))
	d.tell(plan.BatchStarted{BatchInfo: b.info})
	outputs := b.outputs(d.Program.Graph.Outputs)
	for _, out := range outputs {
		if err := d.runOutput(ctx, b, out); err != nil {
			return &plan.BatchError{Seq: b.alloc.Seq, Output: out.Op, Site: out.Site, Err: err}
		}
		if out != outputs[len(outputs)-1] {
			if err := d.complete(ctx, b, out.Index); err != nil {
				return err
			}
		}
	}
	if err := d.complete(ctx, b, plan.BatchDone); err != nil {
		return err
	}
	keep := d.forget(b.alloc)
	for _, p := range d.Participants {
		p.Completed(b.alloc.Seq, keep)
	}
	now := time.Now()
	b.info.ProcessingTime, b.info.TotalDelay = now.Sub(started), max(0, now.Sub(b.info.Time))
	d.usual = max(b.info.ProcessingTime, d.usual*9/10)
	d.doneLock.Lock()
	d.completed = append(d.completed, completedBatch{b.alloc, b.info, started.Sub(b.queued), now})
	d.doneLock.Unlock()
	d.summary.add(b.info)
	d.tell(plan.BatchCompleted{BatchInfo: b.info})
	return nil
}

// outputs returns those of a program's outputs that are to be run in the batch: whose
// stream has an RDD in it, and that weren't done before a restart.
func (b *plannedBatch) outputs(all []*plan.Output) []*plan.Output {
	return slices.DeleteFunc(slices.Clone(all), func(o *plan.Output) bool {
		return b.done[o.Index] || b.gen.Actions[o.Index].Final == nil
	})
}

// complete reports that an output is done, or all of the batch.
func (d *Driver) complete(ctx context.Context, b *plannedBatch, output int32) error {
	if err := d.Batches.Complete(ctx, plan.Completion{Seq: b.alloc.Seq, Output: output}); err != nil {
		return fmt.Errorf("logging the completion of batch %d: %w", b.alloc.Seq, err)
	}
	return nil
}

// forget drops what was kept for a batch that is complete now. It returns the first
// batch that those to come look at: the last one before what they reach back to, whose
// time says that nothing is missing.
func (d *Driver) forget(a *plan.Allocation) (keep uint64) {
	keep = a.Seq + 1
	if d.looksBack() {
		keep = d.lookedAt(a)
		d.kept.Store(keep)
	}
	d.history.Forget(keep)
	d.Cluster.Forget(a.Seq+1, keep)
	return keep
}

// looksBack reports whether batches of the program look at earlier ones.
func (d *Driver) looksBack() bool { return d.reach > 0 || len(d.Program.Graph.States) > 0 }

// lookedAt returns the first batch that those after a look at, but for one: theirs begin
// where a's does, or later. Should the newest checkpoint of a state be lost, they begin
// from the one before it.
func (d *Driver) lookedAt(a *plan.Allocation) uint64 {
	first := d.history.Since(a, d.reach)
	if len(d.Program.Graph.States) > 0 {
		first = min(first, d.Program.Graph.Begin(a, &d.history, true).First)
	}
	return max(1, first-1)
}

// slowBatch is how long an output may take, whatever the interval and the batches
// before, until that is a trouble.
const slowBatch = 10 * time.Second

// watchOutput says that an output takes much longer than batches did of late.
func (d *Driver) watchOutput(b *plannedBatch, out *plan.Output) (stop func()) {
	patience := max(slowBatch, 3*d.Program.Interval, 3*d.usual)
	return d.Troubles.After("output", patience, func(since time.Duration) string {
		return fmt.Sprintf("batch %d: %s at %s has taken %s so far", b.alloc.Seq, out.Op, out.Site, since.Round(time.Second))
	})
}

// runOutput runs one output operation: its job on executors, then its function
// on the driver.
func (d *Driver) runOutput(ctx context.Context, b *plannedBatch, out *plan.Output) error {
	started := time.Now()
	info := plan.OutputInfo{Seq: b.alloc.Seq, Output: int(out.Index), Op: fmt.Sprintf("%s at %s", out.Op, out.Site)}
	d.tell(plan.OutputStarted{OutputInfo: info})
	defer d.watchOutput(b, out)()
	result, err := d.Cluster.Run(ctx, b.gen, out.Index)
	if err == nil {
		b.info.Metrics.Add(result.Metrics)
		info.Tasks, info.Failed = result.Tasks, result.Failed
		for _, p := range d.Participants {
			p.Heard(result.Notes)
		}
	}
	if err == nil && out.OnDriver != nil {
		err = d.Program.Calls.Guard(info.Op, func() error { return out.OnDriver(ctx, b.alloc, result.Partitions) })
	}
	if err == nil {
		err = d.Program.Graph.LateError()
	}
	info.Duration, info.Err = time.Since(started), err
	d.tell(plan.OutputCompleted{OutputInfo: info})
	return err
}
