package driver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// Run runs the stream until ctx ends or the program stops it, and then finishes
// what is planned; or until something fails. It returns why it failed.
func (d *Driver) Run(ctx context.Context) error {
	for _, p := range d.Participants {
		defer p.Close()
	}
	stopCtx, stop := context.WithCancelCause(ctx) // ends when planning must end
	defer stop(nil)
	workCtx, abort := context.WithCancelCause(context.WithoutCancel(ctx)) // ends when work must end
	defer abort(nil)
	if !d.Program.Settings.StopGracefully {
		defer context.AfterFunc(ctx, func() { abort(plan.ErrStopped) })()
	}
	d.stop, d.abort = stop, abort
	d.Program.Activate(&plan.Driver{Epoch: d.Epoch, Stop: func() { stop(nil) }, Fail: d.fail, Models: d.Models})
	if err := d.open(stopCtx); err != nil {
		if ctx.Err() != nil {
			err = nil // interrupted before anything was planned
		}
		d.fail(err)
		return errors.Join(err, d.close())
	}
	d.reach, d.slides = d.Program.Graph.Reach().Longest(), d.Program.Graph.Slides()
	d.apart = leastApart(d.Program.Interval, d.reach)
	d.stateOutputs = d.Program.Graph.LastOutputs()
	d.queue = make(chan *plannedBatch, d.Program.Settings.MaxPending)
	d.room = make(chan struct{}, d.Program.Settings.MaxPending)
	d.freed = make(chan struct{}, 1)
	d.rides = make(chan *ride)
	began := time.Now()
	d.tell(plan.StreamingStarted{At: began})

	var tasks, parts, receiving, work sync.WaitGroup
	partCtx, endParts := context.WithCancel(workCtx)
	defer endParts()
	for _, p := range d.Participants {
		parts.Go(func() { p.Run(partCtx) })
	}
	receiving.Go(func() { d.fail(d.receive(stopCtx)) })
	for _, t := range d.Program.DriverTasks {
		tasks.Go(func() { d.fail(d.runTask(stopCtx, t)) })
	}
	endInline := d.Program.Calls.Inline(d.fail)
	work.Go(func() {
		defer close(d.queue)
		d.fail(d.generateBatches(stopCtx, workCtx))
	})
	work.Go(func() { d.runBatches(workCtx) })
	work.Wait()
	endInline() // what comes runs on this goroutine, which no function may end
	stop(nil)   // a failed runner ends here too
	endParts()
	parts.Wait()
	d.saveStates(workCtx)
	tasks.Wait()
	if workCtx.Err() == nil {
		d.settle(workCtx)
	}
	receiving.Wait() // last, since a receiver may take its time: what there was to save is saved
	err := context.Cause(workCtx)
	if err == nil {
		err = d.Program.Graph.LateError()
	}
	err = errors.Join(err, d.close())
	d.tell(plan.StreamingStopped{Err: err})
	if err == nil && d.Program.Cadence == plan.UntilEnd {
		d.summary.log(d.Log, d.ended, time.Since(began))
	}
	if err == nil {
		err = context.Cause(workCtx) // a listener that failed last of all
	}
	return err
}

// runTask runs a task of the user beside the stream.
func (d *Driver) runTask(ctx context.Context, t plan.DriverTask) error {
	err := d.Program.Calls.Guard("driver task "+t.Name, func() error { return t.Run(ctx) })
	if err == nil || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("driver task %s: %w", t.Name, err)
}
