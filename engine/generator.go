package engine

import (
	"context"
	"fmt"
	"time"
)

// generateBatches is the JobGenerator: it hands the runner what an earlier
// driver left unfinished, then the batches whose times passed while there was no
// driver, then a batch at each multiple of the interval, until planning must end.
func (d *driver) generateBatches(stopCtx, workCtx context.Context) error {
	for _, p := range d.recovered.Incomplete {
		if !d.reserve(workCtx) {
			return nil
		}
		b, err := d.replay(workCtx, p)
		if err != nil {
			return err
		}
		d.queue <- b
	}
	g := generator{driver: d, previous: d.recovered.Last, skipped: skippedLog{log: d.log}}
	for _, at := range g.missed(time.Now()) {
		if goesOn, err := g.generate(stopCtx, workCtx, func() time.Time { return at }); !goesOn {
			return err
		}
	}
	next := nextTick(time.Now(), d.ssc.interval)
	if g.previous != nil && !next.After(g.previous.Time()) { // planned by a clock that is ahead of this one
		next = g.previous.Time().Add(d.ssc.interval)
	}
	tick := newAlarm()
	defer tick.close()
	for {
		if !tick.wait(stopCtx, d.untilTick(next)) {
			return nil
		}
		newest := func() time.Time { return g.skipped.newest(time.Now(), next, d.ssc.interval) }
		if goesOn, err := g.generate(stopCtx, workCtx, newest); !goesOn {
			return err
		}
		next = g.previous.Time().Add(d.ssc.interval)
	}
}

// generator makes one batch after the other.
type generator struct {
	*driver
	previous *BatchAllocation
	skipped  skippedLog
}

// generate makes a batch as soon as there is room for one, of the time that is
// due then: a batch that waits behind a busy runner can't take up what comes
// meanwhile. It reports whether planning goes on.
func (g *generator) generate(stopCtx, workCtx context.Context, due func() time.Time) (goesOn bool, err error) {
	if !g.reserve(stopCtx) {
		return false, nil
	}
	g.settle(workCtx)
	b, err := g.plan(stopCtx, workCtx, g.previous, due())
	if stopCtx.Err() != nil && b == nil {
		return false, nil // stopped while planning: nothing was logged
	}
	if err != nil {
		return false, err
	}
	g.queue <- b
	g.previous = b.alloc
	return true, nil
}

// reserve waits for room for a batch in the queue. It reports false if ctx ends.
func (d *driver) reserve(ctx context.Context) bool {
	select {
	case d.room <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// untilTick returns how long to wait for a tick: an interval at most, whatever
// clock the batches before went by, or if it was set back. Batch times ascend.
func (d *driver) untilTick(next time.Time) time.Duration {
	return min(time.Until(next), d.ssc.interval)
}

// nextTick returns the first multiple of the interval after now.
func nextTick(now time.Time, interval time.Duration) time.Time {
	return now.Truncate(interval).Add(interval)
}

// plan makes a batch: what it reads, the values of PerBatch, the log entry, the
// RDDs. stopCtx bounds what comes before the log entry: afterwards the batch
// exists and is finished.
func (d *driver) plan(stopCtx, workCtx context.Context, previous *BatchAllocation, at time.Time) (*plannedBatch, error) {
	a := &BatchAllocation{
		Format: allocationFormat, Incarnation: d.header.Incarnation, Epoch: d.epoch, Seq: 1, TimeNanos: at.UnixNano(),
	}
	if previous != nil {
		a.Seq = previous.Seq + 1
	}
	if err := d.models.ready(stopCtx); err != nil {
		return nil, fmt.Errorf("planning batch %d: waiting for what the batch before teaches: %w", a.Seq, err)
	}
	info := BatchInfo{Seq: a.Seq, Time: at}
	elapsed := d.elapsed(previous, at)
	budgets := shares(d.rate.budget(elapsed), d.demand)
	for i, in := range d.ssc.graph.inputs {
		req := PlanRequest{Seq: a.Seq, Time: at, Interval: d.ssc.interval, Elapsed: elapsed, Budget: budgets[i]}
		if previous != nil {
			if p := previous.input(in.id); p != nil {
				req.Previous = p.Ranges
			}
		}
		p, err := d.planners[i].Plan(stopCtx, req)
		if err != nil {
			return nil, fmt.Errorf("planning batch %d: %s at %s: %w", a.Seq, in.op, in.site, err)
		}
		a.Inputs = append(a.Inputs, InputAllocation{in.id, p.Ranges, p.Records})
		info.Records += p.Records
		info.Backlog += p.Backlog
		d.demand[i] = p.Records + p.Backlog
		d.held[i].note(time.Now(), fmt.Sprintf("%s at %s", in.op, in.site), p.Held)
		if info.Held == "" {
			info.Held = p.Held
		}
	}
	batch := Batch{Seq: a.Seq, Time: at, alloc: a}
	for _, v := range d.ssc.graph.values {
		var data []byte
		err := guardDriver("PerBatch "+v.name, func() (err error) {
			data, err = v.compute(stopCtx, batch)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("planning batch %d: value %s at %s: %w", a.Seq, v.name, v.site, err)
		}
		a.Values = append(a.Values, NamedValue{v.name, data})
	}
	a.Models, a.Cost = d.models.plan(a.Seq), d.rate.estimate()
	if err := d.batches.Allocate(workCtx, a); err != nil {
		return nil, fmt.Errorf("logging batch %d: %w", a.Seq, err)
	}
	b := &plannedBatch{alloc: a, info: info}
	return b, d.invoke(workCtx, b)
}

// replay prepares a batch that an earlier driver planned.
func (d *driver) replay(ctx context.Context, p PendingBatch) (*plannedBatch, error) {
	a := p.Allocation
	b := &plannedBatch{
		alloc: a, done: make(map[int32]bool), replayed: true,
		info: BatchInfo{Seq: a.Seq, Time: a.Time(), Records: a.Records(), Replayed: true},
	}
	for _, out := range p.Done {
		b.done[out] = true
	}
	d.log.Info("replaying a batch that was planned and not completed", "batch", a.Seq, "time", a.Time(), "records", a.Records())
	return b, d.invoke(ctx, b)
}

// invoke generates a batch's RDDs and tells the executors to do the same.
func (d *driver) invoke(ctx context.Context, b *plannedBatch) error {
	var err error
	if b.gen, err = d.ssc.graph.generate(b.alloc, d.header.Parallelism); err != nil {
		return err
	}
	if err := d.cluster.Invoke(ctx, b.gen, Invocation{b.alloc, b.gen.lineage.Hash()}); err != nil {
		return fmt.Errorf("batch %d: %w", b.alloc.Seq, err)
	}
	b.info.Pending, b.queued = len(d.queue), time.Now()
	d.tell(func(bus listenerBus) { tell(bus, func(l OnBatchSubmitted) { l.OnBatchSubmitted(b.info) }) })
	return nil
}

// elapsed returns the time since the batch before, for which there is budget. Of a
// time in which no batch was planned although the runner was free (no driver, no
// broker, a machine asleep) an interval counts: what came meanwhile is read in
// many batches, not in one.
func (d *driver) elapsed(previous *BatchAllocation, at time.Time) time.Duration {
	if previous == nil {
		return d.ssc.interval
	}
	return min(at.Sub(previous.Time()), d.ssc.interval+d.longest)
}

// settle takes in what the runner has completed: it feeds the rate estimator
// and tells the planners.
func (d *driver) settle(ctx context.Context) {
	d.doneLock.Lock()
	completed := d.completed
	d.completed = nil
	d.doneLock.Unlock()
	for _, c := range completed {
		d.longest = max(c.info.ProcessingTime, d.longest*9/10)
		if !c.info.Replayed {
			d.rate.observe(c.at, c.info.Records, c.info.ProcessingTime, c.waited)
		}
		for i, in := range d.ssc.graph.inputs {
			share := c.alloc.input(in.id)
			if share == nil {
				continue
			}
			if err := d.planners[i].Completed(ctx, share.Ranges); err != nil {
				d.log.Warn("an input could not note a completed batch", "input", in.op, "batch", c.alloc.Seq, "err", err)
			}
		}
	}
}
