package driver

import (
	"context"
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// generateBatches is the JobGenerator: it hands the runner what an earlier
// driver left unfinished, then a batch at each multiple of the interval, until
// planning must end.
func (d *Driver) generateBatches(stopCtx, workCtx context.Context) error {
	for _, p := range d.Recovered.Incomplete {
		b, err := d.replay(workCtx, p)
		if err != nil {
			return err
		}
		if !d.enqueue(workCtx, b) {
			return nil
		}
	}
	previous := d.Recovered.Last
	next := nextTick(time.Now(), d.Program.Interval)
	if previous != nil && !next.After(previous.Time()) { // planned by a clock that is ahead of this one
		next = previous.Time().Add(d.Program.Interval)
	}
	tick := newTicker()
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
func (d *Driver) untilTick(next time.Time) time.Duration {
	return min(time.Until(next), d.Program.Interval)
}

// nextTick returns the first multiple of the interval after now.
func nextTick(now time.Time, interval time.Duration) time.Time {
	return now.Truncate(interval).Add(interval)
}

// following returns the tick after t. Ticks that were missed by far, because
// planning waited for a broker or the machine slept, are left out: their
// records are in the next batch.
func (d *Driver) following(t time.Time) time.Time {
	next := t.Add(d.Program.Interval)
	late := time.Since(next)
	if slack := d.Program.Interval * time.Duration(d.Program.Settings.MaxPending+1); late > slack {
		latest := nextTick(time.Now(), d.Program.Interval).Add(-d.Program.Interval)
		d.Log.Warn("skipped batch times that were missed", "count", int64(latest.Sub(next)/d.Program.Interval), "resumed_at", latest)
		return latest
	}
	return next
}

// enqueue hands a batch to the runner. It reports false if work has ended.
func (d *Driver) enqueue(ctx context.Context, b *plannedBatch) bool {
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
func (d *Driver) plan(stopCtx, workCtx context.Context, previous *plan.Allocation, at time.Time) (*plannedBatch, error) {
	a := &plan.Allocation{
		Format: plan.AllocationFormat, Incarnation: d.Header.Incarnation, Epoch: d.Epoch, Seq: 1, TimeNanos: at.UnixNano(),
	}
	if previous != nil {
		a.Seq = previous.Seq + 1
	}
	for _, p := range d.Participants {
		if err := p.Ready(stopCtx); err != nil {
			return nil, fmt.Errorf("planning batch %d: %w", a.Seq, err)
		}
	}
	info := plan.BatchInfo{Seq: a.Seq, Time: at}
	for i, in := range d.Program.Graph.Inputs {
		req := plan.PlanRequest{Seq: a.Seq, Time: at, Interval: d.Program.Interval, Rate: d.rates[i].limit()}
		if previous != nil {
			if p := previous.Input(in.ID); p != nil {
				req.Previous = p.Ranges
			}
		}
		p, err := d.planners[i].Plan(stopCtx, req)
		if err != nil {
			return nil, fmt.Errorf("planning batch %d: %s at %s: %w", a.Seq, in.Op, in.Site, err)
		}
		a.Inputs = append(a.Inputs, plan.InputAllocation{DStream: in.ID, Ranges: p.Ranges, Records: p.Records})
		info.Records += p.Records
		info.Backlog += p.Backlog
	}
	for _, v := range d.Program.Graph.Values {
		var data []byte
		err := plan.Guard("PerBatch "+v.Name, func() (err error) {
			data, err = v.Compute(stopCtx, a)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("planning batch %d: value %s at %s: %w", a.Seq, v.Name, v.Site, err)
		}
		a.Values = append(a.Values, plan.NamedValue{Name: v.Name, Data: data})
	}
	for _, p := range d.Participants {
		p.Plan(a)
	}
	if err := d.Batches.Allocate(workCtx, a); err != nil {
		return nil, fmt.Errorf("logging batch %d: %w", a.Seq, err)
	}
	b := &plannedBatch{alloc: a, info: info}
	return b, d.invoke(workCtx, b)
}

// replay prepares a batch that an earlier driver planned.
func (d *Driver) replay(ctx context.Context, p plan.PendingBatch) (*plannedBatch, error) {
	a := p.Allocation
	b := &plannedBatch{
		alloc: a, done: make(map[int32]bool), replayed: true,
		info: plan.BatchInfo{Seq: a.Seq, Time: a.Time(), Records: a.Records(), Replayed: true},
	}
	for _, out := range p.Done {
		b.done[out] = true
	}
	d.Log.Info("replaying a batch that was planned and not completed", "batch", a.Seq, "time", a.Time(), "records", a.Records())
	return b, d.invoke(ctx, b)
}

// invoke generates a batch's RDDs and tells the executors to do the same.
func (d *Driver) invoke(ctx context.Context, b *plannedBatch) error {
	var err error
	if b.gen, err = d.Program.Graph.Generate(b.alloc, d.Header.Parallelism); err != nil {
		return err
	}
	if err := d.Cluster.Invoke(ctx, b.gen, plan.Invocation{Allocation: b.alloc, Lineage: b.gen.Lineage.Hash()}); err != nil {
		return fmt.Errorf("batch %d: %w", b.alloc.Seq, err)
	}
	b.info.Pending = len(d.queue)
	d.tell(plan.BatchSubmitted{BatchInfo: b.info})
	return nil
}

// settle takes in what the runner has completed: it feeds the rate estimators
// and tells the planners.
func (d *Driver) settle(ctx context.Context) {
	d.doneLock.Lock()
	completed := d.completed
	d.completed = nil
	d.doneLock.Unlock()
	for _, c := range completed {
		for i, in := range d.Program.Graph.Inputs {
			share := c.alloc.Input(in.ID)
			if share == nil {
				continue
			}
			if !c.info.Replayed {
				d.rates[i].observe(c.at, share.Records, c.info)
			}
			if err := d.planners[i].Completed(ctx, share.Ranges); err != nil {
				d.Log.Warn("an input could not note a completed batch", "input", in.Op, "batch", c.alloc.Seq, "err", err)
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

func newRateController(c *plan.Settings, interval time.Duration) *rateController {
	return &rateController{enabled: c.Backpressure, interval: interval, estimate: pidEstimator{gains: c.PID}, rate: c.InitialRate}
}

// limit returns the records per second that the next batch may hold, 0 for any.
func (r *rateController) limit() float64 {
	if !r.enabled {
		return 0
	}
	return r.rate
}

// observe takes in a completed batch.
func (r *rateController) observe(at time.Time, records int64, info plan.BatchInfo) {
	if rate, ok := r.estimate.observe(at, records, info.ProcessingTime, info.SchedulingDelay, r.interval); ok {
		r.rate = rate
	}
}
