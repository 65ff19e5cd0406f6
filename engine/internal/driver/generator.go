package driver

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd/task"
)

// generateBatches is the JobGenerator: it hands the runner what an earlier
// driver left unfinished, then batches at the program's cadence, until planning must
// end or nothing is left to read.
func (d *Driver) generateBatches(stopCtx, workCtx context.Context) error {
	if err := d.remember(); err != nil {
		return err
	}
	for _, p := range d.Recovered.Incomplete {
		if !d.reserve(workCtx) {
			return nil
		}
		b, err := d.replay(workCtx, p)
		if err != nil {
			return err
		}
		d.send(b)
	}
	g := generator{Driver: d, previous: d.Recovered.Last, planned: time.Now(), skipped: skippedLog{log: d.Log}}
	if d.Program.Cadence == plan.UntilEnd {
		return g.untilEnd(stopCtx, workCtx)
	}
	missed := g.missed(d.now())
	for _, at := range missed {
		if goesOn, err := g.generate(stopCtx, workCtx, func() time.Time { return at }); !goesOn {
			return err
		}
	}
	next := nextTick(d.now(), d.Program.Interval)
	if len(missed) > 0 { // times passed while those ran: they are skipped as any
		next = missed[len(missed)-1].Add(d.Program.Interval)
	}
	if g.previous != nil && !next.After(g.previous.Time()) { // planned by a clock that is ahead of this one
		next = g.previous.Time().Add(d.Program.Interval)
	}
	if d.Program.Cadence == plan.AsSoonAsPossible {
		return g.soon(stopCtx, workCtx, next)
	}
	return g.byInterval(stopCtx, workCtx, next)
}

// generator makes one batch after the other.
type generator struct {
	*Driver
	previous *plan.Allocation
	planned  time.Time // when previous was planned, or the generator began
	skipped  skippedLog
	left     leftOver // by the newest plan
	carries  bool     // allocations take the completion of the batch before along, which saves a log that is slow an entry
	runs     bool     // batches behind which nothing waits are run here, which saves the way to the runner and back
	ride     *ride    // of the batch before, nil if the runner logs its completion
}

// leftOver is what a plan left to read.
type leftOver struct {
	records int64         // that the budget kept out, and that another batch could hold now
	pace    time.Duration // for how long after the plan inputs have nothing to tell: what they told was in it
	fill    bool          // they are enough for another batch of its size
	blocked bool          // there are some that no budget would let in, such as those over the limit of a rate
	ended   bool          // none, and no more will come
}

// byInterval makes a batch at each multiple of the interval.
func (g *generator) byInterval(stopCtx, workCtx context.Context, next time.Time) error {
	interval := g.Program.Interval
	tick := newTicker()
	defer tick.close()
	defer func() { g.skipped.flush(interval) }()
	for {
		g.inPieces(workCtx, next, func(piece time.Duration) bool { return tick.wait(stopCtx, piece) })
		if stopCtx.Err() != nil {
			return nil
		}
		newest := func() time.Time { return g.skipped.newest(g.clock(), next, interval) }
		if goesOn, err := g.generate(stopCtx, workCtx, newest); !goesOn {
			return err
		}
		next = g.previous.Time().Add(interval)
	}
}

// inPieces has wait wait for pieces of the time until next, and settles between them. wait reports
// false when there is nothing to wait for any more.
func (g *generator) inPieces(workCtx context.Context, next time.Time, wait func(piece time.Duration) bool) {
	for due := time.Now().Add(g.untilTick(next)); ; g.settle(workCtx) {
		left := time.Until(due)
		if !wait(min(left, settleEvery)) || left <= settleEvery {
			return
		}
	}
}

// maxMadeUp is how many batch times are made up that passed while there was no
// driver.
const maxMadeUp = 100

// missed returns the batch times between the last batch of the driver before and
// now, the newest maxMadeUp of them.
func (g *generator) missed(now time.Time) []time.Time {
	if g.previous == nil {
		return nil
	}
	interval := g.Program.Interval
	first := nextTick(g.previous.Time(), interval)
	if now.Before(first) {
		return nil
	}
	count := int64(now.Sub(first)/interval) + 1
	left := max(0, count-maxMadeUp)
	first = first.Add(time.Duration(left) * interval)
	g.Log.Info("batch times passed since the last batch was planned: batches are made up for the newest of them, and read what has come meanwhile",
		"made_up", count-left, "skipped", left, "last", g.previous.Time())
	times := make([]time.Time, count-left)
	for i := range times {
		times[i] = first.Add(time.Duration(i) * interval)
	}
	return times
}

// generate makes a batch as soon as there is room for one, of the time that is
// due then: a batch that waits behind a busy runner can't take up what comes
// meanwhile. It reports whether planning goes on.
func (g *generator) generate(stopCtx, workCtx context.Context, due func() time.Time) (goesOn bool, err error) {
	if !g.reserve(stopCtx) {
		return false, nil
	}
	for _, p := range g.Participants {
		if err := p.Ready(stopCtx); err != nil {
			return false, g.unlessStopped(stopCtx, fmt.Errorf("planning the next batch: %w", err))
		}
	}
	g.settle(workCtx)
	at, planned := g.unlessPassedOver(due()), time.Now()
	b, err := g.plan(stopCtx, workCtx, g.previous, at, g.ride)
	if b == nil {
		return false, g.unlessStopped(stopCtx, err) // nothing was logged
	}
	if err != nil {
		return false, err
	}
	g.previous, g.planned, g.left = b.alloc, planned, b.left
	if g.runs && !b.left.fill && g.under.Load() == 0 {
		g.runHere(workCtx, b)
	} else {
		g.send(b)
	}
	return true, nil
}

// send hands a batch for which there is room to the runner.
func (d *Driver) send(b *plannedBatch) {
	d.under.Add(1)
	d.queue <- b
}

// unlessStopped returns an error of planning, nil if planning was stopped.
func (g *generator) unlessStopped(stopCtx context.Context, err error) error {
	if stopCtx.Err() != nil {
		return nil
	}
	return err
}

// reserve waits for room for a batch in the queue. It reports false if ctx ends.
func (d *Driver) reserve(ctx context.Context) bool {
	select {
	case d.room <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// untilTick returns how long to wait for a tick: an interval at most, whatever
// clock the batches before went by, or if it was set back. Batch times ascend.
func (g *generator) untilTick(next time.Time) time.Duration {
	return min(next.Sub(g.clock()), g.Program.Interval)
}

// clock returns the time that it is: by the clock, or if that was set back, what has passed
// since the batch before was planned after its time.
func (g *generator) clock() time.Time {
	now := g.now()
	if g.previous == nil {
		return now
	}
	if steady := g.previous.Time().Add(time.Since(g.planned)); steady.After(now) {
		return steady
	}
	return now
}

// now returns the time by the clock that batches' times go by, which may be set.
func (d *Driver) now() time.Time {
	if d.Clock != nil {
		return d.Clock()
	}
	return time.Now()
}

// plan makes a batch: what it reads, the values of PerBatch, the log entry, the
// RDDs. stopCtx bounds what comes before the log entry: afterwards the batch
// exists and is finished. The entry takes the completion of the batch before along, if that
// has a ride.
func (d *Driver) plan(stopCtx, workCtx context.Context, previous *plan.Allocation, at time.Time, before *ride) (*plannedBatch, error) {
	a := &plan.Allocation{
		Format: plan.AllocationFormat, Incarnation: d.Header.Incarnation, Epoch: d.Epoch, Seq: 1, TimeNanos: at.UnixNano(),
	}
	if previous != nil {
		a.Seq = previous.Seq + 1
	}
	info := plan.BatchInfo{Seq: a.Seq, Time: at}
	elapsed := d.elapsed(previous, at)
	budgets := shares(d.rate.budget(elapsed), d.demand)
	left := leftOver{ended: true, pace: math.MaxInt64}
	for i, in := range d.Program.Graph.Inputs {
		req := plan.PlanRequest{Seq: a.Seq, Time: at, Interval: d.Program.Interval, Kept: d.keptRanges(in.ID), Elapsed: elapsed, Budget: budgets[i]}
		if previous != nil {
			if p := previous.Input(in.ID); p != nil {
				req.Previous = p.Ranges
			}
		}
		p, err := d.share(stopCtx, i, req)
		if err != nil {
			return nil, fmt.Errorf("planning batch %d: %s at %s: %w", a.Seq, in.Op, in.Site, err)
		}
		a.Inputs = append(a.Inputs, plan.InputAllocation{DStream: in.ID, Ranges: p.Ranges, Records: p.Records})
		info.Inputs = append(info.Inputs, plan.InputInfo{Op: d.names.inputs[i], Records: p.Records, Backlog: p.Backlog, Held: p.Held, Lags: p.Lags})
		info.Records += p.Records
		info.Backlog += p.Backlog
		info.Metrics.Add(task.Metrics{BadRecords: p.Lost, Lost: p.Lost})
		if p.Pace <= 0 {
			left.records += max(0, p.Backlog-p.Blocked)
		}
		left.pace = min(left.pace, p.Pace)
		left.blocked = left.blocked || p.Blocked > 0
		left.ended = left.ended && p.Ended
		d.demand[i] = demand(p)
		d.held[i].note(time.Now(), d.names.inputs[i], p)
		if info.Held == "" {
			info.Held = p.Held
		}
	}
	for _, v := range d.Program.Graph.Values {
		var data []byte
		err := d.Program.Calls.Guard("PerBatch "+v.Name, func() (err error) {
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
	a.Cost, a.Keep = d.rate.estimate(), d.kept.Load()
	if n := d.Header.Numbers; n != nil {
		a.Begins = n.Begins
	}
	if err := d.allocate(workCtx, a, before); err != nil {
		return nil, fmt.Errorf("logging batch %d: %w", a.Seq, err)
	}
	left.fill = left.records > 0 && left.records >= info.Records
	b := &plannedBatch{alloc: a, info: info, lost: info.Metrics.Lost, left: left}
	return b, d.invoke(workCtx, b)
}

// keptRanges returns what an input was given in the first batch known that others may reach
// back to, of those that were planned when the program had it; nil if there is none. The one
// at kept need not be known: the batches of a changed program begin with the first that is,
// and the runner forgets batches meanwhile.
func (d *Driver) keptRanges(input int32) []byte {
	if !d.looksBack() {
		return nil
	}
	if share := d.history.From(d.kept.Load(), input); share != nil {
		return share.Ranges
	}
	return nil
}

// slowPlan is how long an input may take to plan before that is a trouble.
const slowPlan = 5 * time.Second

// share asks an input for its share of a batch. What it waits for, and what it says
// that holds it up, are troubles of the job.
func (d *Driver) share(ctx context.Context, i int, req plan.PlanRequest) (plan.Share, error) {
	about, name := d.names.abouts[i], d.names.inputs[i]
	req.Waiting = func(why string) { d.Troubles.Set(about, name+" waits: "+why) }
	defer d.Troubles.After(d.names.planning[i], slowPlan, func(since time.Duration) string {
		return fmt.Sprintf("%s: planning batch %d has taken %s so far", name, req.Seq, since.Round(time.Second))
	})() // also of a planner that ends the goroutine
	p, err := d.planners[i].Plan(ctx, req)
	held := ""
	if p.Held != "" {
		held = name + " is held up: " + p.Held
	}
	d.Troubles.Set(about, held)
	return p, err
}

// remember tells the executors of the batches that were completed under earlier drivers
// and that others reach back to.
func (d *Driver) remember() error {
	if !d.looksBack() {
		return nil
	}
	first, past := d.Recovered.First(), d.Recovered.Past
	d.kept.Store(first)
	if len(past) > 0 {
		d.Cluster.Forget(past[len(past)-1].Seq+1, first)
	}
	for _, a := range past {
		d.history.Add(a)
		if err := d.Cluster.Remember(a); err != nil {
			return fmt.Errorf("batch %d: %w", a.Seq, err)
		}
	}
	return nil
}

// replay prepares a batch that an earlier driver planned.
func (d *Driver) replay(ctx context.Context, p plan.PendingBatch) (*plannedBatch, error) {
	a := p.Allocation
	b := &plannedBatch{
		alloc: a, done: make(map[int32]bool), replayed: true,
		info: plan.BatchInfo{Seq: a.Seq, Time: a.Time(), Records: a.Records(), Replayed: true},
	}
	for i, in := range d.Program.Graph.Inputs {
		if share := a.Input(in.ID); share != nil {
			b.info.Inputs = append(b.info.Inputs, plan.InputInfo{Op: d.names.inputs[i], Records: share.Records})
		}
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
	d.history.Add(b.alloc)
	if b.gen, err = d.Program.Graph.Generate(b.alloc, &d.history, d.Header.Parallelism); err != nil {
		return err
	}
	if err := d.Cluster.Invoke(ctx, b.gen, plan.Invocation{Allocation: b.alloc, Lineage: b.gen.Lineage.Hash()}); err != nil {
		return fmt.Errorf("batch %d: %w", b.alloc.Seq, err)
	}
	b.info.Pending, b.queued = len(d.queue), time.Now()
	d.tell(plan.BatchSubmitted{BatchInfo: b.info})
	return nil
}

// elapsed returns the time since the batch before, for which there is budget. Of a
// time in which no batch was planned although the runner was free (no driver, no
// broker, a machine asleep) an interval counts: what came meanwhile is read in
// many batches, not in one.
func (d *Driver) elapsed(previous *plan.Allocation, at time.Time) time.Duration {
	if previous == nil {
		return d.Program.Interval
	}
	return min(at.Sub(previous.Time()), d.Program.Interval+d.longest)
}

// settleEvery is how long what is complete may go untold while no batch is planned: a planner may
// tell others.
const settleEvery = time.Second

// settle takes in what the runner has done: it feeds the rate estimator, and tells the
// planners what is complete.
func (d *Driver) settle(ctx context.Context) {
	d.doneLock.Lock()
	ran, completed := d.ran, d.completed
	d.ran, d.completed = nil, nil
	d.doneLock.Unlock()
	for _, r := range ran {
		d.longest = max(r.info.ProcessingTime, d.longest*9/10)
		if !r.info.Replayed && r.lost == 0 { // how fast those are passed says nothing of records
			d.rate.observe(r.at, r.info.Records, r.info.ProcessingTime, r.waited)
		}
	}
	for _, a := range completed {
		for i, in := range d.Program.Graph.Inputs {
			share := a.Input(in.ID)
			if share == nil {
				continue
			}
			if err := d.planners[i].Completed(ctx, share.Ranges); err != nil {
				d.Log.Warn("an input could not note a completed batch", "input", in.Op, "batch", a.Seq, "err", err)
			}
		}
	}
}
