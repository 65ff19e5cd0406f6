package driver

import (
	"context"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// soon makes a batch when there are records and the runner is free, at the latest at
// next and each multiple of the interval after it. Those that others reach back to are kept
// apart.
func (g *generator) soon(stopCtx, workCtx context.Context, next time.Time) error {
	ready := make(chan struct{}, 1)
	notify := func() {
		select {
		case ready <- struct{}{}:
		default:
		}
	}
	for _, p := range g.planners {
		if process := g.Cluster.Process(); process != nil {
			if err := p.Beside(process); err != nil {
				return err
			}
		}
		if err := p.Notify(notify); err != nil {
			return err
		}
	}
	// A model that is trained has no batch planned before the last one is complete.
	trains := slices.ContainsFunc(g.Program.Graph.Models, func(m *plan.Model) bool { return m.Trained })
	oneByOne := g.Program.Settings.ConcurrentJobs == 1
	g.carries = oneByOne && !trains && g.Header.Durable
	g.runs = oneByOne && !g.Header.Durable
	defer func() { g.logAlone(workCtx, g.ride) }()
	if g.apart > 0 {
		g.Log.Info("batches are kept apart, since windows, or what is remembered, reach back to them", "least", g.apart, "reach", g.reach)
	}
	g.left.records = 1 // what is there at the start is read at once
	for g.free(stopCtx) {
		if !g.keepApart(stopCtx, workCtx, next) {
			return nil
		}
		if g.left.records == 0 && !g.awaitRecords(stopCtx, workCtx, ready, next) {
			return nil
		}
		select {
		case <-ready: // whatever it was for, it is planned now
		default:
		}
		if goesOn, err := g.generate(stopCtx, workCtx, func() time.Time { return g.timeOf(g.clock(), next) }); !goesOn {
			return err
		}
		next = nextTick(g.previous.Time(), g.Program.Interval)
	}
	return nil
}

// untilEnd makes one batch after the other until what was there at the start is read.
// Where some of it is kept out by a rate's limit, which holds by the clock, the next one
// waits as it would for the next multiple of the interval. Batch times are one multiple
// after the other, whatever the clock says, so that windows hold the same whenever and
// wherever the program runs.
func (g *generator) untilEnd(stopCtx, workCtx context.Context) error {
	g.left.records = 1
	next := nextTick(g.now(), g.Program.Interval)
	if g.previous != nil && !next.After(g.previous.Time()) { // times ran ahead of the clock
		next = nextTick(g.previous.Time(), g.Program.Interval)
	}
	for !g.left.ended && stopCtx.Err() == nil {
		if (g.left.records == 0 || g.left.blocked) && !g.await(stopCtx, workCtx, nil, next) {
			break
		}
		if goesOn, err := g.generate(stopCtx, workCtx, func() time.Time { return next }); !goesOn {
			return err
		}
		next = nextTick(g.previous.Time(), g.Program.Interval)
	}
	g.ended = g.left.ended
	return g.closeWindows(stopCtx, workCtx)
}

// closeWindows makes the batches at which the windows end that hold the last batch, now
// instead of at their times: nothing comes in between.
func (g *generator) closeWindows(stopCtx, workCtx context.Context) error {
	if !g.ended || g.previous == nil {
		return nil
	}
	ends := g.windowEnds(g.previous.Time())
	slices.SortFunc(ends, time.Time.Compare)
	for _, end := range slices.CompactFunc(ends, time.Time.Equal) {
		if goesOn, err := g.generate(stopCtx, workCtx, func() time.Time { return end }); !goesOn {
			return err
		}
	}
	return nil
}

// free waits until fewer batches run or wait than may run at a time: what comes could still
// join the next one, which must be the runner's as soon as it is planned, unless its budget is
// full already.
// It reports false if ctx ends before. The one batch that runs may be done but for its
// completion, which is the generator's then, for the next allocation. If another batch
// waits behind it there is nothing to plan before that one begins: its completion goes alone.
func (g *generator) free(ctx context.Context) bool {
	g.ride = nil
	for !g.left.fill && g.under.Load() >= int64(g.Program.Settings.ConcurrentJobs) {
		var rides <-chan *ride
		if g.carries && g.under.Load() == 1 {
			rides = g.rides
		}
		select {
		case g.ride = <-rides:
			return ctx.Err() == nil
		case <-g.freed:
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}

// awaitRecords waits as await does. If it has to, the completion of the batch before doesn't.
// What was told while the last plan was made, and is in it, is no reason for another one.
func (g *generator) awaitRecords(stopCtx, workCtx context.Context, ready <-chan struct{}, next time.Time) bool {
	select {
	case <-ready:
		if time.Since(g.planned) >= g.left.pace {
			return true
		}
	default:
	}
	return g.pause(stopCtx, workCtx, ready, next)
}

// keepApart waits until the least distance from the batch before is over, at most until next:
// a tick's batch always comes. It reports false if stopCtx ends before.
func (g *generator) keepApart(stopCtx, workCtx context.Context, next time.Time) bool {
	if g.apart == 0 || g.previous == nil {
		return true
	}
	due := g.previous.Time().Add(g.apart)
	if due.After(next) {
		due = next
	}
	return g.pause(stopCtx, workCtx, nil, due)
}

// pause waits as await does. If it has to, the completion of the batch before doesn't.
func (g *generator) pause(stopCtx, workCtx context.Context, ready <-chan struct{}, next time.Time) bool {
	if len(ready) == 0 && g.untilTick(next) > 0 {
		g.logAlone(workCtx, g.ride)
	}
	return g.await(stopCtx, workCtx, ready, next)
}

// await waits until there is something to read, at most until next, and settles meanwhile. It
// reports false if stopCtx ends before.
func (g *generator) await(stopCtx, workCtx context.Context, ready <-chan struct{}, next time.Time) bool {
	g.inPieces(workCtx, next, func(piece time.Duration) bool {
		timer := time.NewTimer(piece)
		defer timer.Stop()
		select {
		case <-timer.C:
			return true
		case <-ready:
		case <-stopCtx.Done():
		}
		return false
	})
	return stopCtx.Err() == nil
}

// timeOf returns the time of a batch that is planned now: the multiple of the
// interval that has just passed, next or one after it, else now. Batch times ascend.
func (g *generator) timeOf(now, next time.Time) time.Time {
	switch {
	case !now.Before(next):
		return next.Add(now.Sub(next).Truncate(g.Program.Interval))
	case g.previous != nil && !now.After(g.previous.Time()):
		return g.previous.Time().Add(1)
	}
	return now
}
