package engine

import (
	"context"
	"fmt"
	"time"
)

// generateBatches is the JobGenerator: it hands the runner what an earlier
// driver left unfinished, then a batch at each multiple of the interval, until
// planning must end.
func (d *driver) generateBatches(stopCtx, workCtx context.Context) error {
	for _, p := range d.recovered.Incomplete {
		b, err := d.replay(workCtx, p)
		if err != nil {
			return err
		}
		if !d.enqueue(workCtx, b) {
			return nil
		}
	}
	previous := d.recovered.Last
	next := nextTick(time.Now(), d.ssc.interval)
	if previous != nil && !next.After(previous.Time()) { // planned by a clock that is ahead of this one
		next = previous.Time().Add(d.ssc.interval)
	}
	tick := newAlarm()
	defer tick.close()
	for {
		if !tick.wait(stopCtx, d.untilTick(next)) {
			return nil
		}
		d.settle(workCtx)
		b, err := d.plan(stopCtx, workCtx, previous, next)
		if stopCtx.Err() != nil && b == nil {
			return nil // stopped while planning: nothing was logged
		}
		if err != nil {
			return err
		}
		if !d.enqueue(workCtx, b) {
			return nil
		}
		previous = b.alloc
		next = d.following(next)
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

// following returns the tick after t. Ticks that were missed by far, because
// planning waited for a broker or the machine slept, are left out: their
// records are in the next batch.
func (d *driver) following(t time.Time) time.Time {
	next := t.Add(d.ssc.interval)
	late := time.Since(next)
	if slack := d.ssc.interval * time.Duration(d.ssc.conf.maxPending+1); late > slack {
		latest := nextTick(time.Now(), d.ssc.interval).Add(-d.ssc.interval)
		d.log.Warn("skipped batch times that were missed", "count", int64(latest.Sub(next)/d.ssc.interval), "resumed_at", latest)
		return latest
	}
	return next
}

// enqueue hands a batch to the runner. It reports false if work has ended.
func (d *driver) enqueue(ctx context.Context, b *plannedBatch) bool {
	select {
	case d.queue <- b:
		return true
	case <-ctx.Done():
		return false
	}
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
	for i, in := range d.ssc.graph.inputs {
		req := PlanRequest{Seq: a.Seq, Time: at, Interval: d.ssc.interval, Rate: d.rates[i].limit()}
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
	}
	batch := Batch{Seq: a.Seq, Time: at, alloc: a}
	for _, v := range d.ssc.graph.values {
		var data []byte
		err := d.calls.guard("PerBatch "+v.name, func() (err error) {
			data, err = v.compute(stopCtx, batch)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("planning batch %d: value %s at %s: %w", a.Seq, v.name, v.site, err)
		}
		a.Values = append(a.Values, NamedValue{v.name, data})
	}
	a.Models = d.models.plan(a.Seq)
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
	b.info.Pending = len(d.queue)
	d.tell(func(bus listenerBus) { tell(bus, func(l OnBatchSubmitted) { l.OnBatchSubmitted(b.info) }) })
	return nil
}

// settle takes in what the runner has completed: it feeds the rate estimators
// and tells the planners.
func (d *driver) settle(ctx context.Context) {
	d.doneLock.Lock()
	completed := d.completed
	d.completed = nil
	d.doneLock.Unlock()
	for _, c := range completed {
		for i, in := range d.ssc.graph.inputs {
			share := c.alloc.input(in.id)
			if share == nil {
				continue
			}
			if !c.info.Replayed {
				d.rates[i].observe(c.at, share.Records, c.info)
			}
			if err := d.planners[i].Completed(ctx, share.Ranges); err != nil {
				d.log.Warn("an input could not note a completed batch", "input", in.op, "batch", c.alloc.Seq, "err", err)
			}
		}
	}
}

// rateController limits what an input's batches may hold.
type rateController struct {
	enabled  bool
	interval time.Duration
	estimate pidEstimator
	rate     float64
}

func newRateController(c *conf, interval time.Duration) *rateController {
	return &rateController{enabled: c.backpressure, interval: interval, estimate: pidEstimator{gains: c.pid}, rate: c.initialRate}
}

// limit returns the records per second that the next batch may hold, 0 for any.
func (r *rateController) limit() float64 {
	if !r.enabled {
		return 0
	}
	return r.rate
}

// observe takes in a completed batch.
func (r *rateController) observe(at time.Time, records int64, info BatchInfo) {
	if rate, ok := r.estimate.observe(at, records, info.ProcessingTime, info.SchedulingDelay, r.interval); ok {
		r.rate = rate
	}
}
