package driver

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// runBatches is the JobScheduler: it runs the batches until the queue is closed, up to
// streaming.concurrentJobs of them at a time, and the outputs of each in the order of their
// declaration.
func (d *Driver) runBatches(ctx context.Context) {
	var running sync.WaitGroup
	newest := make(chan *turn, 1) // holds that of the newest batch while nobody waits for the next
	newest <- nil
	for range d.Program.Settings.ConcurrentJobs {
		running.Go(func() {
			for {
				b, t := d.nextBatch(ctx, newest)
				if b == nil {
					return
				}
				d.fail(d.runBatch(ctx, b, t))
				d.under.Add(-1)
				select {
				case d.freed <- struct{}{}:
				default:
				}
			}
		})
	}
	running.Wait()
}

// nextBatch waits for the next batch and takes it out of the queue, with its turn behind the
// newest. There is none when the queue is closed, or ctx has ended.
func (d *Driver) nextBatch(ctx context.Context, newest chan *turn) (*plannedBatch, *turn) {
	var before *turn
	select {
	case before = <-newest:
	case <-ctx.Done():
		return nil, nil
	}
	t := before
	defer func() { newest <- t }()
	select {
	case b, ok := <-d.queue:
		if !ok || ctx.Err() != nil { // of both cases that are ready select takes any
			return nil, nil
		}
		t = d.take(b, before)
		return b, t
	case <-ctx.Done():
		return nil, nil
	}
}

// take takes a batch that is to run out of the queue, or out of the generator's hands. It returns
// its turn behind the batch before.
func (d *Driver) take(b *plannedBatch, before *turn) *turn {
	<-d.room
	d.last.pass(b.alloc.Seq)
	return newTurn(before, len(d.Program.Graph.Outputs))
}

// runHere runs a batch on the generator's goroutine: one that nothing could be planned beside,
// while the runner has none.
func (d *Driver) runHere(ctx context.Context, b *plannedBatch) {
	d.fail(d.runBatch(ctx, b, d.take(b, nil)))
}

// runBatch runs the outputs of a batch that aren't done yet.
func (d *Driver) runBatch(ctx context.Context, b *plannedBatch, t *turn) error {
	started := time.Now()
	b.info.Pending = len(d.queue)
	b.info.SchedulingDelay = max(0, started.Sub(b.info.Time))
	d.tell(plan.BatchStarted{BatchInfo: b.info})
	outputs := b.outputs(d.Program.Graph.Outputs)
	for _, out := range d.Program.Graph.Outputs {
		if slices.Contains(outputs, out) {
			if err := d.runOutput(ctx, b, out, t); err != nil {
				return &plan.BatchError{Seq: b.alloc.Seq, Output: out.Op, Site: out.Site, Err: err}
			}
			if out != outputs[len(outputs)-1] || t.waits() {
				if err := d.complete(ctx, b, out.Index); err != nil {
					return err
				}
			}
		} else if err := t.await(ctx, out.Index); err != nil {
			return err
		}
		t.outputDone(out.Index)
	}
	if err := t.awaitBatch(ctx); err != nil {
		return err
	}
	if err := d.finish(ctx, b, started, t.waited); err != nil {
		return err
	}
	t.batchDone()
	return nil
}

// finish ends a batch whose outputs are done, which waited so long for the one before it. One
// batch after the other is finished.
func (d *Driver) finish(ctx context.Context, b *plannedBatch, started time.Time, waited time.Duration) error {
	now := time.Now()
	b.info.ProcessingTime = now.Sub(started) - waited
	d.doneLock.Lock()
	d.usual = max(b.info.ProcessingTime, d.usual*9/10)
	d.ran = append(d.ran, ranBatch{b.info, b.info.Metrics.Lost - b.lost, started.Sub(b.queued) + waited, now})
	d.doneLock.Unlock()
	if err := d.completeBatch(ctx, b.alloc.Seq); err != nil {
		return fmt.Errorf("logging the completion of batch %d: %w", b.alloc.Seq, err)
	}
	b.info.TotalDelay = max(0, time.Since(b.info.Time))
	keep := d.forget(b.alloc)
	d.last.complete(b, func() { d.Cluster.Forget(b.alloc.Seq+1, keep) }, d.States == nil)
	for _, p := range d.Participants {
		p.Completed(b.alloc.Seq, keep)
	}
	d.doneLock.Lock()
	d.completed = append(d.completed, b.alloc)
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

// complete reports that an output is done.
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

// watchOutput says that an output's job, or its function, takes much longer than batches did
// of late.
func (d *Driver) watchOutput(b *plannedBatch, out *plan.Output) (stop func()) {
	d.doneLock.Lock()
	patience := max(slowBatch, 3*d.Program.Interval, 3*d.usual)
	d.doneLock.Unlock()
	return d.Troubles.After(fmt.Sprintf("output of batch %d", b.alloc.Seq), patience, func(since time.Duration) string {
		return fmt.Sprintf("batch %d: %s at %s has taken %s so far", b.alloc.Seq, out.Op, out.Site, since.Round(time.Second))
	})
}

// runOutput runs one output operation: its job on executors, then its function on the
// driver. What it does is done after the batch before has done it: the function's, or the
// job's if there is none. What it reads of states the batch before has computed.
func (d *Driver) runOutput(ctx context.Context, b *plannedBatch, out *plan.Output, t *turn) error {
	if out.OnDriver == nil {
		if err := t.await(ctx, out.Index); err != nil {
			return err
		}
	}
	if err := t.awaitStates(ctx, b, out.Index, d.stateOutputs); err != nil {
		return err
	}
	started, waited := time.Now(), t.waited
	info := plan.OutputInfo{Seq: b.alloc.Seq, Output: int(out.Index), Op: d.names.outputs[out.Index]}
	d.tell(plan.OutputStarted{OutputInfo: info})
	err := d.computeOutput(ctx, b, out, &info, t)
	if err == nil {
		err = d.Program.Graph.LateError()
	}
	info.Duration, info.Err = time.Since(started)-(t.waited-waited), err
	d.tell(plan.OutputCompleted{OutputInfo: info})
	return err
}

// computeOutput runs the job of an output, and then its function on the driver.
func (d *Driver) computeOutput(ctx context.Context, b *plannedBatch, out *plan.Output, info *plan.OutputInfo, t *turn) error {
	results, err := d.runJob(ctx, b, out, info)
	if err != nil || out.OnDriver == nil {
		return err
	}
	if err := t.await(ctx, out.Index); err != nil {
		return err
	}
	defer d.watchOutput(b, out)()
	return d.Program.Calls.Guard(info.Op, func() error { return out.OnDriver(ctx, b.alloc, results) })
}

// runJob runs the job of an output, with what the driver does before it.
func (d *Driver) runJob(ctx context.Context, b *plannedBatch, out *plan.Output, info *plan.OutputInfo) ([][]byte, error) {
	defer d.watchOutput(b, out)()
	if out.Begin != nil {
		if err := d.Program.Calls.Guard(info.Op, func() error { return out.Begin(ctx, b.alloc) }); err != nil {
			return nil, err
		}
	}
	result, err := d.Cluster.Run(ctx, b.gen, out.Index)
	if err != nil {
		return nil, err
	}
	b.info.Metrics.Add(result.Metrics)
	info.Tasks, info.Failed = result.Tasks, result.Failed
	for _, p := range d.Participants {
		p.Heard(result.Notes)
	}
	return result.Partitions, nil
}
