package replay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
)

// Cluster is what a batch program's driver needs of those who compute.
type Cluster interface {
	// Tell tells the executors of an entry, in order, those that come later too.
	Tell(e Entry) error
	// RunAction computes the action of a step. Its error is a *scheduler.JobError if
	// tasks failed.
	RunAction(ctx context.Context, step int, a lineage.Action) (*scheduler.JobResult, error)
}

// Config says what a batch program's driver works with.
type Config struct {
	Program *plan.Program // the driver's copy
	Cluster Cluster
	// Failing is told at once why the program can't go on, if that is so: what still
	// runs of it may take its time.
	Failing func(error)
	// Acting is called before the first action runs, unless it is nil. Its error ends the
	// program.
	Acting func() error
	// StepEnded is called after each step, before the program goes on.
	StepEnded func()
	Log       *slog.Logger
}

// Driver runs the driver's copy of a batch program.
//
// THREADING: Run calls the program, which takes one step after the other. mu guards
// what Summary looks at.
type Driver struct {
	Config

	ctx     context.Context // of Run
	lineage *lineage.Lineage
	turn    turn
	gone    gone
	acted   bool  // the first action has been reached
	fatal   error // why the program can't go on, the first reason

	mu      sync.Mutex
	summary Summary
}

// Summary says what a program has done so far.
type Summary struct {
	Steps   uint64
	Current string // operator and place of the step that runs, "" between steps
	Actions int    // steps that have run tasks
	Stages  int    // that ran
	Tasks   int    // attempts that counted
	Failed  int    // attempts that didn't
	Metrics task.Metrics
}

// NewDriver returns a driver that is to be run.
func NewDriver(c Config) *Driver { return &Driver{Config: c} }

// Run runs the program until it has ended, and returns why it failed. When ctx ends,
// its step fails, and so do all that follow.
func (d *Driver) Run(ctx context.Context) error {
	started := time.Now()
	sc := d.Program.NewContext(driverRunner{d})
	d.ctx, d.lineage = ctx, sc.Lineage()
	err := d.Program.RunBody(sc)
	d.turn.finish()
	d.lineage.Freeze("the program has ended")
	switch {
	case d.fatal != nil && !errors.Is(err, d.fatal):
		err = errors.Join(d.fatal, err) // the program made something else of it
	case err == nil:
		err = errors.Join(d.lineage.Err(), d.Program.Graph.LateError())
	}
	s := d.Summary()
	d.Log.Info("the program has ended", "steps", s.Steps, "actions", s.Actions, "stages", s.Stages, "tasks", s.Tasks, "failed_attempts", s.Failed,
		"records_read", s.Metrics.RecordsRead, "bad_records", s.Metrics.BadRecords, "shuffle_bytes", s.Metrics.ShuffleWritten, "took", time.Since(started).Round(time.Millisecond))
	return err
}

// count adds what an action did.
func (d *Driver) count(job *scheduler.JobResult) {
	if job == nil { // it never was one
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := &d.summary
	s.Actions++
	s.Stages += job.Stages
	s.Tasks += job.Tasks
	s.Failed += job.Failed
	s.Metrics.Add(job.Metrics)
}

// Summary says what the program has done so far.
func (d *Driver) Summary() Summary {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.summary
}

// step takes the next step: compute says what comes of it. Its errors end the program;
// what the program may go on with is a Failure in the result.
func (d *Driver) step(op string, site lineage.Site, describe func(made *lineage.Lineage) *Step, compute func(n int) (*Result, error)) ([][]byte, []task.Update, error) {
	if err := d.turn.begin(d.lineage, op, site); err != nil {
		return nil, nil, err
	}
	defer d.turn.end(d.lineage)
	n := d.enter(fmt.Sprintf("%s at %s", op, site))
	defer d.leave()
	if err := d.interrupted(); err != nil {
		return nil, nil, err
	}
	var r *Result
	made := d.lineage.Drain()
	d.gone.watch(made)
	err := d.Cluster.Tell(Entry{Format: Format, Step: n, Begun: describe(made), Gone: d.gone.take()})
	if err == nil {
		r, err = compute(int(n))
	}
	if err == nil {
		err = d.Cluster.Tell(Entry{Format: Format, Step: n, Result: r})
	}
	if err != nil {
		return nil, nil, d.giveUp(err)
	}
	return r.values()
}

// enter notes the step that runs and returns its number.
func (d *Driver) enter(what string) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.summary.Steps++
	d.summary.Current = what
	return d.summary.Steps
}

func (d *Driver) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.summary.Current = ""
	d.StepEnded()
}

// While calls f, which doesn't block, unless the step with the given number is over.
func (d *Driver) While(step uint64, f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.summary.Steps == step && d.summary.Current != "" {
		f()
	}
}

// interrupted returns why no step is taken any more, nil if one is.
func (d *Driver) interrupted() error {
	if d.fatal == nil && d.ctx.Err() != nil {
		d.fatal = plan.ErrInterrupted
	}
	return d.fatal
}

// giveUp notes why the program can't go on.
func (d *Driver) giveUp(err error) error {
	if interrupted := d.interrupted(); interrupted != nil {
		return interrupted
	}
	if d.fatal == nil {
		d.fatal = err
		d.Failing(err)
	}
	return d.fatal
}

// driverRunner is the driver as its program sees it. It implements rdd.Runner.
type driverRunner struct{ *Driver }

func (d driverRunner) MaxResultBytes() int { return d.Program.Settings.MaxResultSize }

// Run computes an action.
func (d driverRunner) Run(a lineage.Action) ([][]byte, error) { return first(d.RunAccumulating(a)) }

// RunAccumulating implements rdd.AccumulatingRunner.
func (d driverRunner) RunAccumulating(a lineage.Action) ([][]byte, []task.Update, error) {
	return d.step(a.Op, a.Site, func(made *lineage.Lineage) *Step { return actionStep(made, a) }, func(n int) (*Result, error) {
		if err := d.acting(a); err != nil {
			return nil, err
		}
		job, err := d.Cluster.RunAction(d.ctx, n, a)
		d.count(job)
		if err != nil {
			return failed(err)
		}
		if err := d.checkSize(job.Partitions); err != nil {
			return failed(&rdd.OpError{Op: a.Op, Site: a.Site, Err: err})
		}
		return &Result{Parts: job.Partitions, Updates: job.Updates}, nil
	})
}

// acting looks whether the program can run, at its first action.
func (d *Driver) acting(a lineage.Action) error {
	if d.acted || d.Acting == nil {
		return nil
	}
	d.acted = true
	if err := d.Acting(); err != nil {
		return fmt.Errorf("at the program's first action, %s at %s: %w", a.Op, a.Site, err)
	}
	return nil
}

// checkSize bounds what a step brings to the program.
func (d driverRunner) checkSize(parts [][]byte) error {
	size, limit := 0, d.MaxResultBytes()
	for _, p := range parts {
		size += len(p)
	}
	if size > limit {
		return fmt.Errorf("%w: %d bytes; raise driver.maxResultSize (now %d) or reduce on executors first", rdd.ErrResultTooLarge, size, limit)
	}
	return nil
}

// failed returns what comes of an action that failed: an error that the program may
// do something about, unless it isn't the action's.
func failed(err error) (*Result, error) {
	tooLarge := errors.Is(err, rdd.ErrResultTooLarge)
	if job, ok := errors.AsType[*scheduler.JobError](err); ok {
		return &Result{Failure: &Failure{Message: job.Error(), TooLarge: tooLarge}}, nil
	}
	if op, ok := errors.AsType[*rdd.OpError](err); ok && tooLarge {
		return &Result{Failure: &Failure{Message: op.Error(), TooLarge: true}}, nil
	}
	return nil, err
}

// Value computes a value.
func (d driverRunner) Value(site lineage.Site, compute func() ([]byte, error)) ([]byte, error) {
	return theValue(d.step("value", site, func(made *lineage.Lineage) *Step { return valueStep(made, site) }, func(int) (*Result, error) {
		var data []byte
		err := d.Program.Calls.Guard(fmt.Sprintf("the function of value at %s", site), func() (err error) {
			data, err = compute()
			return err
		})
		parts := [][]byte{data}
		if err == nil {
			err = d.checkSize(parts)
		}
		if err != nil {
			return &Result{Failure: &Failure{Message: err.Error(), TooLarge: errors.Is(err, rdd.ErrResultTooLarge)}}, nil
		}
		return &Result{Parts: parts}, nil
	}))
}

// OnDriver calls f. It is no step: other copies don't come to it.
func (d driverRunner) OnDriver(site lineage.Site, f func() error) error {
	if err := d.turn.begin(d.lineage, "onDriver", site); err != nil {
		return err
	}
	defer d.turn.end(d.lineage)
	if err := d.interrupted(); err != nil {
		return err
	}
	return d.Program.Calls.Guard(fmt.Sprintf("OnDriver at %s", site), f)
}
