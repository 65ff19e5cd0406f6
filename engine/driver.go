package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/rdd"
)

// driver runs one job on the active driver: it plans a batch at each tick, logs
// it, generates its RDDs and runs its outputs.
//
// THREADING: run starts five kinds of goroutines and waits for all of them. Two
// of them are the model registry's. The generator owns planners and rate estimators and sends planned batches to
// the runner over queue, which it closes. The runner owns the jobs. Driver
// tasks belong to the user. What the runner tells the generator goes through
// completed; listeners are called under busLock.
type driver struct {
	ssc       *StreamingContext // the driver's copy of the program
	header    JobHeader
	epoch     uint64
	recovered LogState // before this driver took over
	batches   BatchLog
	cluster   cluster
	models    *modelRegistry
	requests  <-chan modelRequest // of users outside the program; nil for none
	log       *slog.Logger
	calls     *calls
	farewell  *farewell

	abort, stop context.CancelCauseFunc // end work, and planning
	failed      sync.Once

	planners []Planner
	rates    []*rateController
	queue    chan *plannedBatch

	busLock sync.Mutex
	bus     listenerBus

	doneLock  sync.Mutex
	completed []completedBatch
}

// cluster is what the driver needs of those who compute.
type cluster interface {
	// Invoke tells the executors of a batch: they generate the same RDDs and
	// compare the lineage's hash.
	Invoke(ctx context.Context, gen *generation, inv Invocation) error
	// Run runs the job of one output and returns the partitions' results.
	Run(ctx context.Context, gen *generation, output int32) ([][]byte, rdd.TaskMetrics, error)
	// Forget drops what is kept of the batches before until.
	Forget(until uint64)
	modelExecutor
}

// Invocation is what executors are sent of a batch: what it is made of, and a
// hash of what it must become.
type Invocation struct {
	Allocation *BatchAllocation `msgpack:"a"`
	Lineage    uint64           `msgpack:"l"` // hash of the lineage that the driver generated
}

// plannedBatch is a batch on its way from the generator to the runner.
type plannedBatch struct {
	alloc    *BatchAllocation
	gen      *generation
	done     map[int32]bool // outputs that were done before a restart
	info     BatchInfo
	replayed bool
}

// completedBatch is what the generator learns from the runner.
type completedBatch struct {
	alloc *BatchAllocation
	info  BatchInfo
	at    time.Time
}

// run runs the stream until ctx ends or the program stops it, and then finishes
// what is planned; or until something fails. It returns why it failed.
func (d *driver) run(ctx context.Context) error {
	defer close(d.models.ended)
	stopCtx, stop := context.WithCancelCause(ctx) // ends when planning must end
	defer stop(nil)
	workCtx, abort := context.WithCancelCause(context.WithoutCancel(ctx)) // ends when work must end
	defer abort(nil)
	if !d.ssc.conf.stopGracefully {
		defer context.AfterFunc(ctx, func() { abort(ErrStopped) })()
	}
	d.stop, d.abort, d.ssc.stop, d.bus.failed = stop, abort, stop, d.fail
	if err := d.open(stopCtx); err != nil {
		if ctx.Err() != nil {
			err = nil // interrupted before anything was planned
		}
		d.fail(err)
		return errors.Join(err, d.close())
	}
	d.queue = make(chan *plannedBatch, d.ssc.conf.maxPending)
	d.tell(func(b listenerBus) { tell(b, func(l OnStreamingStarted) { l.OnStreamingStarted(time.Now()) }) })

	var tasks, work sync.WaitGroup
	modelCtx, endModels := context.WithCancel(workCtx)
	defer endModels()
	tasks.Go(func() { d.models.tidy(modelCtx) })
	tasks.Go(func() { d.models.serve(modelCtx, d.requests) })
	for _, t := range d.ssc.driverTasks {
		tasks.Go(func() { d.fail(d.runTask(stopCtx, t)) })
	}
	work.Go(func() {
		defer close(d.queue)
		d.fail(d.generateBatches(stopCtx, workCtx))
	})
	work.Go(func() { d.fail(d.runBatches(workCtx)) })
	work.Wait()
	stop(nil) // a failed runner ends here too
	endModels()
	tasks.Wait()

	err := context.Cause(workCtx)
	if err == nil {
		d.settle(workCtx)
	}
	err = errors.Join(err, d.close())
	d.tell(func(b listenerBus) { tell(b, func(l OnStreamingStopped) { l.OnStreamingStopped(err) }) })
	if err == nil {
		err = context.Cause(workCtx) // a listener that failed last of all
	}
	return err
}

// fail ends planning and work if err isn't nil, and says so at once: what still
// runs may take its time.
func (d *driver) fail(err error) {
	if err == nil {
		return
	}
	d.failed.Do(func() {
		if !gaveUpPlace(err) && !errors.Is(err, ErrStopped) {
			first, _, _ := strings.Cut(err.Error(), "\n")
			d.log.Error("the stream has failed", "err", first)
		}
	})
	d.farewell.begin(err, failPatience)
	d.abort(err)
	d.stop(err)
}

// open runs the program's effects and opens its inputs.
func (d *driver) open(ctx context.Context) error {
	if err := d.models.open(ctx, d.epoch, d.recovered.Incomplete, d.header.Durable); err != nil {
		return err
	}
	d.ssc.registry = d.models
	for _, f := range d.ssc.onDriver {
		if err := d.calls.guard("OnDriver", func() error { return f(ctx) }); err != nil {
			return fmt.Errorf("OnDriver: %w", err)
		}
	}
	for _, in := range d.ssc.graph.inputs {
		p := &guardedPlanner{what: fmt.Sprintf("%s at %s", in.op, in.site), calls: d.calls}
		err := d.calls.guard(p.what, func() (err error) {
			p.planner, err = in.open(ctx)
			return err
		})
		if err != nil {
			return &rdd.OpError{Op: in.op, Site: in.site, Err: err}
		}
		d.planners = append(d.planners, p)
		d.rates = append(d.rates, newRateController(&d.ssc.conf, d.ssc.interval))
	}
	return nil
}

// close closes the planners.
func (d *driver) close() error {
	var errs []error
	for _, p := range d.planners {
		errs = append(errs, p.Close())
	}
	d.planners = nil
	return errors.Join(errs...)
}

// runTask runs a task of the user beside the stream.
func (d *driver) runTask(ctx context.Context, t driverTask) error {
	err := d.calls.guard("driver task "+t.name, func() error { return t.run(ctx) })
	if err == nil || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("driver task %s: %w", t.name, err)
}

// tell calls the listeners, one event at a time.
func (d *driver) tell(f func(b listenerBus)) {
	d.busLock.Lock()
	defer d.busLock.Unlock()
	f(d.bus)
}

// guardDriver runs the user's code on the driver and turns a panic into an error
// that begins with what, if that isn't "".
func guardDriver(what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{what, rdd.Recovered(v)}
		}
	}()
	return f()
}

// guardedPlanner is a planner of a connector, whose panics are errors.
type guardedPlanner struct {
	planner Planner
	what    string // operator and place
	calls   *calls
}

func (p *guardedPlanner) Plan(ctx context.Context, req PlanRequest) (plan Plan, err error) {
	err = p.calls.guard(p.what, func() (err error) {
		plan, err = p.planner.Plan(ctx, req)
		return err
	})
	return plan, err
}

func (p *guardedPlanner) Completed(ctx context.Context, ranges []byte) error {
	return p.calls.guard(p.what, func() error { return p.planner.Completed(ctx, ranges) })
}

func (p *guardedPlanner) Close() error { return p.calls.guard(p.what, p.planner.Close) }
