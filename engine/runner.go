package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/engine/batchlog"
)

// runBatches is the JobScheduler: it runs the batches in order, and the outputs
// of each in the order of their declaration, until the queue is closed.
func (d *driver) runBatches(ctx context.Context) error {
	for {
		select {
		case b, ok := <-d.queue:
			if !ok {
				return nil
			}
			if err := d.runBatch(ctx, b); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil // the cause is known to who ended it
		}
	}
}

// runBatch runs the outputs of a batch that aren't done yet.
func (d *driver) runBatch(ctx context.Context, b *plannedBatch) error {
	started := time.Now()
	b.info.Pending = len(d.queue)
	b.info.SchedulingDelay = max(0, started.Sub(b.info.Time))
	d.tell(func(bus listenerBus) { tell(bus, func(l OnBatchStarted) { l.OnBatchStarted(b.info) }) })
	outputs := d.ssc.graph.outputs
	for i, out := range outputs {
		if b.done[out.index] {
			continue
		}
		if err := d.runOutput(ctx, b, out); err != nil {
			return &BatchError{Seq: b.alloc.Seq, Output: out.op, Site: out.site, Err: err}
		}
		c := Completion{Seq: b.alloc.Seq, Output: out.index}
		if i == len(outputs)-1 {
			c.Output = batchlog.AllOutputs
		}
		if err := d.batches.Complete(ctx, c); err != nil {
			return fmt.Errorf("logging the completion of batch %d: %w", b.alloc.Seq, err)
		}
	}
	d.cluster.Forget(b.alloc.Seq + 1)
	d.models.completed(b.alloc.Seq)
	now := time.Now()
	b.info.ProcessingTime, b.info.TotalDelay = now.Sub(started), max(0, now.Sub(b.info.Time))
	d.doneLock.Lock()
	d.completed = append(d.completed, completedBatch{b.alloc, b.info, now})
	d.doneLock.Unlock()
	d.tell(func(bus listenerBus) { tell(bus, func(l OnBatchCompleted) { l.OnBatchCompleted(b.info) }) })
	return nil
}

// runOutput runs one output operation: its job on executors, then its function
// on the driver.
func (d *driver) runOutput(ctx context.Context, b *plannedBatch, out *outputNode) error {
	started := time.Now()
	results, metrics, err := d.cluster.Run(ctx, b.gen, out.index)
	b.info.Metrics.Add(metrics)
	if err == nil && out.onDriver != nil {
		err = guardDriver(out.op, func() error { return out.onDriver(ctx, b.gen.batch, results) })
	}
	if err == nil {
		err = d.ssc.graph.lateError()
	}
	info := OutputInfo{
		Seq: b.alloc.Seq, Output: int(out.index), Op: fmt.Sprintf("%s at %s", out.op, out.site),
		Duration: time.Since(started), Err: err,
	}
	d.tell(func(bus listenerBus) {
		tell(bus, func(l OnOutputOperationCompleted) { l.OnOutputOperationCompleted(info) })
	})
	return err
}
