package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/logs"
	"github.com/hibana-engine/hibana/engine/process"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Limits of a job's driver processes.
const (
	// driverNice is the niceness of a job driver process: user code must not cost
	// the Raft node its heartbeats.
	driverNice = 5
	// maxCrashes is how many driver processes in a row may end without an output
	// having been done in between; the job fails then.
	maxCrashes = 6
	firstWait  = 50 * time.Millisecond // before the second of them, doubled for each
	lastWait   = 5 * time.Second
	fetchWait  = time.Second     // before a binary is looked for again
	exitWait   = 5 * time.Second // for a process to exit after its job has ended

	firstRestart = time.Second // before a job that failed is started again, doubled for each time in a row
	lastRestart  = time.Minute
)

// driverRunner runs a job's driver processes on this node, one after the other, for as
// long as the job and the leadership last.
type driverRunner struct {
	n           *node
	ctx         context.Context // of the leadership
	incarnation uint64
	done        chan struct{} // closed when run has returned
	health      health

	mu      sync.Mutex
	service *jobService // of the process that runs; nil between two
}

// run drives the job.
func (d *driverRunner) run() {
	n := d.n
	out, err := n.files.output.Open(d.incarnation)
	if err != nil {
		d.health.setStuck("its log can't be kept on " + n.ID() + ": " + err.Error())
		n.log.Error("a job's log can't be kept here", "job", d.incarnation, "err", err)
		d.pause(fetchWait)
		return
	}
	defer func() {
		if err := out.Close(); err != nil {
			n.log.Warn("closing a job's log", "job", d.incarnation, "err", err)
		}
	}()
	crashed := false
	var waited uint64 // the failed epoch after which the job has waited
	logged := ""      // why it couldn't be started the last time
	for d.ctx.Err() == nil && !n.isDraining() {
		j := d.live()
		if j == nil {
			return
		}
		if j.Failed != 0 && j.Failed == j.Epoch && waited != j.Epoch {
			waited = j.Epoch
			d.awaitRestart(j)
			continue
		}
		dir, err := d.prepare(j.Spec)
		if err != nil { // nobody's fault: it isn't a crash
			d.health.setStuck("its driver can't be started on " + n.ID() + " yet: " + err.Error())
			if logged != err.Error() {
				logged = err.Error()
				n.log.Error("a job's driver can't be started here yet", "job", d.incarnation, "err", err)
			}
			d.pause(fetchWait)
			continue
		}
		epoch, err := d.assign(j, crashed)
		if err != nil {
			n.log.Warn("assigning a job's driver", "job", d.incarnation, "err", err)
			d.pause(firstWait)
			continue
		}
		d.health.setStuck("")
		reason := d.runOnce(j.Spec, epoch, dir, out)
		goesOn := false
		if goesOn, crashed = d.ended(j.Spec.ProcessName(), epoch, reason, out); !goesOn {
			return
		}
	}
}

// awaitRestart waits until it is time to start a job again that has failed, or until
// somebody wants it to end.
func (d *driverRunner) awaitRestart(j *state.Job) {
	n := d.n
	wait := min(firstRestart<<min(j.Restarts-1, 16), lastRestart)
	reason, _, _ := strings.Cut(strings.TrimSpace(j.Reason), "\n")
	n.log.Warn("a job has failed and is started again", "job", d.incarnation, "process", j.Spec.ProcessName(), "after", wait, "restart", j.Restarts, "policy", j.Spec.Restart.String(), "reason", reason)
	d.health.setStuck(fmt.Sprintf("it has failed %d times in a row (--restart %s) and is started again after %s: %s", j.Restarts, j.Spec.Restart, wait, reason))
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		changed := n.Watch()
		if now := d.live(); now == nil || now.State != wire.JobRunning {
			return
		}
		select {
		case <-over.C:
			return
		case <-changed:
		case <-n.draining:
			return
		case <-d.ctx.Done():
			return
		}
	}
}

// prepare makes sure that the job's program is here and makes its working
// directory.
func (d *driverRunner) prepare(spec wire.JobSpec) (dir string, err error) {
	if err := d.n.programs.fetch(d.ctx, spec); err != nil {
		return "", err
	}
	return d.n.files.workDir(d.incarnation)
}

// live returns a copy of the job, nil if it has ended.
func (d *driverRunner) live() (j *state.Job) {
	d.n.View(func(s *state.State) {
		if live := s.Jobs[d.incarnation]; live != nil && !live.State.Final() {
			j = live.Clone()
		}
	})
	return j
}

// assign makes the process that is about to start the job's driver and returns
// its epoch.
func (d *driverRunner) assign(j *state.Job, crashed bool) (epoch uint64, err error) {
	n := d.n
	mine := func(st *state.State) bool {
		now := st.Jobs[d.incarnation]
		if now == nil || now.Epoch == j.Epoch || now.Node != n.ID() {
			return false
		}
		epoch = now.Epoch
		return true
	}
	if err := n.Record(&state.AssignDriver{Incarnation: d.incarnation, After: j.Epoch, Node: n.ID(), Crashed: crashed}, mine); err != nil {
		return 0, err
	}
	ok := false
	n.View(func(st *state.State) { ok = mine(st) })
	if !ok {
		return 0, &wire.NotLeaderError{Leader: n.leaderAddress()}
	}
	return epoch, nil
}

// errNoJob is the reason of a process that never asked what to do.
var errNoJob = errors.New("does its main run an engine.App?")

// endOf returns why a driver process has ended. attached says whether it had
// asked what to do.
func endOf(exit process.Exit, attached bool) error {
	switch {
	case exit.Hung && !attached:
		return fmt.Errorf("the program didn't become a job within %s: %w", process.StartPatience, errNoJob)
	case exit.Clean && !attached:
		return fmt.Errorf("the program ended before it became a job: %w", errNoJob)
	}
	return fmt.Errorf("the driver process ended with %s", exit)
}

// runOnce runs one driver process to its end and returns why it ended.
func (d *driverRunner) runOnce(spec wire.JobSpec, epoch uint64, dir string, out *logs.Log) error {
	n := d.n
	ctx, cancel := context.WithCancel(d.ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	service := newJobService(ctx, n.Replica, wire.DriverSpec{Job: spec, ClusterID: n.ClusterID(), Node: n.ID(), TLS: n.security.Files, Metrics: n.metrics}, epoch, &d.health)
	d.serve(service)
	defer d.serve(nil)
	work.Go(func() { service.completions.flush(d.ctx) })
	work.Go(func() { d.killWhenOver(ctx, cancel, epoch) })
	n.log.Info("starting a job's driver", "job", d.incarnation, "process", spec.ProcessName(), "epoch", epoch)
	exit, err := process.Run(ctx, process.Spec{
		Path: n.files.programs.Path(spec.Binary), Name: spec.ProcessName(), Args: spec.Args, Env: n.env, Role: role.Driver, Dir: dir, Nice: driverNice, Reaper: n.reaper,
		Output: out, Stop: n.draining,
		Serve: func(r grpc.ServiceRegistrar) { wire.RegisterJobLog(r, service) },
	})
	if err != nil {
		return err
	}
	return endOf(exit, service.attached.Load())
}

// killWhenOver ends the process when its job has ended: at once if it was
// killed, else it may exit by itself.
func (d *driverRunner) killWhenOver(ctx context.Context, cancel context.CancelFunc, epoch uint64) {
	for {
		changed := d.n.Watch()
		var now wire.JobState
		d.n.View(func(s *state.State) {
			if j := s.Jobs[d.incarnation]; j != nil && j.Failed == epoch {
				now = wire.JobFailed // and goes on without this process
			} else if j != nil {
				now = j.State
			} else {
				now = wire.JobKilled // forgotten: it ended long ago
			}
		})
		if now.Final() {
			if now != wire.JobKilled {
				select {
				case <-time.After(exitWait):
				case <-ctx.Done():
				}
			}
			cancel()
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// ended decides what the end of a process means: whether the job goes on with
// another one here, and whether that was a crash.
func (d *driverRunner) ended(process string, epoch uint64, reason error, out *logs.Log) (goesOn, crashed bool) {
	n := d.n
	j := d.live()
	if j == nil || d.ctx.Err() != nil || n.isDraining() {
		return false, false
	}
	if j.Failed == epoch {
		return true, false // it said so itself
	}
	crashes := j.Crashes + 1
	d.health.setTrouble(reason.Error())
	n.log.Warn("a job's driver has died", "job", d.incarnation, "process", process, "epoch", epoch, "crashes", crashes, "reason", reason)
	_, _ = fmt.Fprintf(out, "engine-driver %s: %v\n", n.ID(), reason) // a log says itself what it couldn't write
	neverAJob := errors.Is(reason, errNoJob) && len(j.Header) == 0    // else this node is slow, or ill
	if crashes >= maxCrashes || neverAJob {
		why := reason.Error()
		if crashes > 1 {
			why = fmt.Sprintf("its driver has died %d times without getting anything done; the last time: %v",
				crashes, reason)
		}
		n.failJob(d.incarnation, epoch, why)
		return d.live() != nil, false
	}
	if j.Crashes > 0 {
		wait := min(firstWait<<j.Crashes, lastWait)
		d.health.setStuck(fmt.Sprintf("its driver process has died %d times in a row without getting anything done; another is started after %s", crashes, wait))
		d.pause(wait)
	}
	return true, true
}

// pause waits, or until the leadership ends.
func (d *driverRunner) pause(t time.Duration) {
	select {
	case <-time.After(t):
	case <-d.n.draining:
	case <-d.ctx.Done():
	}
}

// serve says which process runs.
func (d *driverRunner) serve(s *jobService) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.service = s
}

// process returns what the process that runs may say, nil between two of them.
func (d *driverRunner) process() *jobService {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.service
}
