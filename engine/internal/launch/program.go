package launch

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hibana-engine/hibana/engine/internal/executor"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/internal/replay"
	"github.com/hibana-engine/hibana/engine/remote"
	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/scheduler"
)

// runAction runs an action of a batch program on a scheduler. running ends when the
// executors can't go on; its cause is the error then.
func runAction(ctx, running context.Context, dag *scheduler.DAGScheduler, step int, a lineage.Action) (*scheduler.JobResult, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(running, func() { cancel(context.Cause(running)) })()
	job := scheduler.NewJob(0, step, a.Final)
	if a.Partitions != nil {
		job.Partitions = make([]int32, len(a.Partitions))
		for i, p := range a.Partitions {
			job.Partitions[i] = int32(p)
		}
	}
	r, err := dag.Submit(ctx, job)
	dag.ForgetStages(0, scheduler.ResultStage(step)) // no step is taken again
	if cause := context.Cause(running); err != nil && cause != nil {
		err = cause
	}
	return r, err
}

// forgetGone makes a scheduler forget what a batch program needs no more.
func forgetGone(dag *scheduler.DAGScheduler, gone replay.Gone) {
	if len(gone.Shuffles) > 0 {
		stages := make([]int32, len(gone.Shuffles))
		for i, shuffle := range gone.Shuffles {
			stages[i] = scheduler.MapStage(shuffle)
		}
		dag.ForgetStages(0, stages...)
	}
	for _, ordinal := range gone.Cached {
		dag.Blocks().Drop(lineage.ID{Ordinal: ordinal})
	}
}

// named returns why a copy diverged, with the name of its executor.
func named(err error, executor string) error {
	if d, ok := errors.AsType[*plan.DivergedError](err); ok {
		d.Name = executor
	}
	return err
}

// runProgram runs a batch program on the driver.
func (p *prepared) runProgram(ctx context.Context, c cluster) error {
	var once sync.Once
	failing := func(err error) { once.Do(func() { p.job.failing(err) }) }
	j := p.job
	d := replay.NewDriver(replay.Config{
		Program: p.program, Cluster: c, Failing: failing, StepEnded: func() { j.Status.Set("") }, Log: j.Log,
	})
	stop := j.watch(d, c)
	ended := j.metrics.follow(d)
	err := d.Run(ctx)
	ended()
	stop()
	if err == nil {
		err = p.program.UnknownSettings()
	}
	if err != nil {
		failing(err)
	}
	return err
}

// localProgram is the executor's copy of a batch program in local mode. It runs only
// while the driver's copy waits: what both use by mistake, a variable outside of the
// program, is at least used by one after the other.
type localProgram struct {
	running context.Context // ends when the copy can't follow
	held    *replay.Entry   // the last step's result, which the copy goes on with
}

func newLocalProgram(e *executor.Executor) *localProgram {
	ctx, stop := context.WithCancelCause(context.Background())
	e.Follow(func(err error) { stop(named(err, localExecutor)) })
	return &localProgram{running: ctx}
}

// Tell implements replay.Cluster.
func (c *localCluster) Tell(e replay.Entry) error {
	p := c.program
	if e.Result != nil {
		p.held = &e
		return nil
	}
	if p.held != nil {
		c.exec.Tell(*p.held)
		p.held = nil
	}
	forgetGone(c.dag, e.Gone)
	c.exec.Tell(e)
	return nil
}

func (c *localCluster) Progress() []scheduler.StageProgress { return c.dag.Progress() }

// RunAction implements replay.Cluster.
func (c *localCluster) RunAction(ctx context.Context, step int, a lineage.Action) (*scheduler.JobResult, error) {
	return runAction(ctx, c.program.running, c.dag, step, a)
}

// Tell implements replay.Cluster. It doesn't wait for the executors: a copy that comes
// to another step says so by itself.
func (c *remoteCluster) Tell(e replay.Entry) error {
	if err := context.Cause(c.ctx); err != nil {
		return err
	}
	pieces, err := replay.Pack(e, wire.MaxPayload)
	if err != nil {
		return err
	}
	forgetGone(c.dag, e.Gone)
	if len(e.Gone.Shuffles) > 0 {
		c.backend.ForgetShuffles(0, e.Gone.Shuffles)
	}
	for _, p := range pieces {
		c.told++
		if err := c.backend.Invoke(c.told, p); err != nil {
			return err
		}
	}
	return nil
}

func (c *remoteCluster) Progress() []scheduler.StageProgress { return c.dag.Progress() }

// RunAction implements replay.Cluster.
func (c *remoteCluster) RunAction(ctx context.Context, step int, a lineage.Action) (*scheduler.JobResult, error) {
	defer c.warnIdle("step", step)()
	return runAction(ctx, c.ctx, c.dag, step, a)
}

// copyError is why an executor's copy of a batch program can't follow the driver's.
type copyError struct{ executor, failure string }

func (e *copyError) Error() string { return fmt.Sprintf("executor %s: %s", e.executor, e.failure) }

// Unwrap returns ErrDiverged.
func (e *copyError) Unwrap() error { return plan.ErrDiverged }

// divergence tells the driver why the process's copy of a batch program can't follow.
// The zero value is ready to use.
type divergence struct {
	mu     sync.Mutex
	answer func(*remote.Invoked) // to the driver's stream, nil before the first message
	why    string                // "" while the copy follows
}

// reset forgets what was to be said to a driver before this one.
func (d *divergence) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer, d.why = nil, ""
}

// answerBy says how to answer from now on: the driver may have connected again, and not
// have heard what was said.
func (d *divergence) answerBy(answer func(*remote.Invoked)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = answer
	d.tell()
}

// say tells the driver.
func (d *divergence) say(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.why = err.Error()
	d.tell()
}

// tell is called with mu held.
func (d *divergence) tell() {
	if d.answer != nil && d.why != "" {
		d.answer(&remote.Invoked{Failure: d.why})
	}
}
