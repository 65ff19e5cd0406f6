package control

import (
	"context"
	"errors"
	"fmt"
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
	maxCrashes  = 6
	firstWait   = 50 * time.Millisecond // before the second of them, doubled for each
	lastWait    = 5 * time.Second
	fetchWait   = time.Second     // before a binary is looked for again
	exitWait    = 5 * time.Second // for a process to exit after its job has ended
	troubleLife = time.Minute     // for which something that went wrong is in the status
)

// driverRunner runs a job's driver processes on this node, one after the other, for as
// long as the job and the leadership last.
type driverRunner struct {
	r           *leadership
	incarnation uint64
	done        chan struct{} // closed when run has returned

	mu        sync.Mutex
	progress  wire.Progress
	trouble   string // the last thing that went wrong
	troubleAt time.Time
	service   *jobService // of the process that runs; nil between two
}

// run drives the job.
func (d *driverRunner) run() {
	s := d.r.s
	out, err := s.files.output.Open(d.incarnation)
	if err != nil {
		d.setTrouble(err.Error())
		s.log.Error("a job's log can't be kept here", "job", d.incarnation, "err", err)
		d.pause(fetchWait)
		return
	}
	defer func() {
		if err := out.Close(); err != nil {
			s.log.Warn("closing a job's log", "job", d.incarnation, "err", err)
		}
	}()
	crashed := false
	logged := "" // why it couldn't be started the last time
	for d.r.ctx.Err() == nil && !s.isDraining() {
		j := d.job()
		if j == nil {
			return
		}
		dir, err := d.prepare(j.Spec)
		if err != nil { // nobody's fault: it isn't a crash
			d.setTrouble(err.Error())
			if logged != err.Error() {
				logged = err.Error()
				s.log.Error("a job's driver can't be started here yet", "job", d.incarnation, "err", err)
			}
			d.pause(fetchWait)
			continue
		}
		epoch, err := d.assign(j, crashed)
		if err != nil {
			s.log.Warn("assigning a job's driver", "job", d.incarnation, "err", err)
			d.pause(firstWait)
			continue
		}
		reason := d.runOnce(j.Spec, epoch, dir, out)
		if crashed = d.crashed(epoch, reason, out); !crashed {
			return
		}
	}
}

// prepare makes sure that the job's program is here and makes its working
// directory.
func (d *driverRunner) prepare(spec wire.JobSpec) (dir string, err error) {
	if err := d.r.s.fetch(d.r.ctx, spec); err != nil {
		return "", err
	}
	return d.r.s.files.workDir(d.incarnation)
}

// job returns a copy of the job, nil if it has ended.
func (d *driverRunner) job() (j *state.Job) {
	d.r.s.View(func(s *state.State) {
		if live := s.Jobs[d.incarnation]; live != nil && !live.State.Final() {
			j = live.Clone()
		}
	})
	return j
}

// assign makes the process that is about to start the job's driver and returns
// its epoch.
func (d *driverRunner) assign(j *state.Job, crashed bool) (epoch uint64, err error) {
	s := d.r.s
	mine := func(st *state.State) bool {
		now := st.Jobs[d.incarnation]
		if now == nil || now.Epoch == j.Epoch || now.Node != s.ID() {
			return false
		}
		epoch = now.Epoch
		return true
	}
	if err := s.Record(&state.AssignDriver{Incarnation: d.incarnation, After: j.Epoch, Node: s.ID(), Crashed: crashed}, mine); err != nil {
		return 0, err
	}
	ok := false
	s.View(func(st *state.State) { ok = mine(st) })
	if !ok {
		return 0, &wire.NotLeaderError{Leader: s.leaderAddress()}
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
	s := d.r.s
	ctx, cancel := context.WithCancel(d.r.ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	service := newJobService(ctx, s.Replica, wire.DriverSpec{Job: spec, ClusterID: s.ClusterID(), Node: s.ID(), TLS: s.security.Files}, epoch, d.report)
	service.trouble = d.lastTrouble
	d.serve(service)
	defer d.serve(nil)
	work.Go(func() { service.flush(d.r.ctx) })
	work.Go(func() { d.killWhenOver(ctx, cancel) })
	s.log.Info("starting a job's driver", "job", d.incarnation, "name", spec.Name, "epoch", epoch)
	exit, err := process.Run(ctx, process.Spec{
		Path: s.files.programs.Path(spec.Binary), Name: spec.ProcessName(), Args: spec.Args, Role: role.Driver, Dir: dir, Nice: driverNice,
		Output: out, Stop: s.draining,
		Serve: func(r grpc.ServiceRegistrar) { wire.RegisterJobLog(r, service) },
	})
	if err != nil {
		return err
	}
	return endOf(exit, service.hasAttached())
}

// killWhenOver ends the process when its job has ended: at once if it was
// killed, else it may exit by itself.
func (d *driverRunner) killWhenOver(ctx context.Context, cancel context.CancelFunc) {
	for {
		changed := d.r.s.Watch()
		var now wire.JobState
		d.r.s.View(func(s *state.State) {
			if j := s.Jobs[d.incarnation]; j != nil {
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

// crashed decides what the end of a process means: whether the job goes on with
// another one here.
func (d *driverRunner) crashed(epoch uint64, reason error, out *logs.Log) bool {
	s := d.r.s
	j := d.job()
	if j == nil || d.r.ctx.Err() != nil || s.isDraining() {
		return false
	}
	n := j.Crashes + 1
	d.setTrouble(reason.Error())
	s.log.Warn("a job's driver has died", "job", d.incarnation, "epoch", epoch, "crashes", n, "reason", reason)
	_, _ = fmt.Fprintf(out, "engine-driver %s: %v\n", s.ID(), reason) // a log says itself what it couldn't write
	neverAJob := errors.Is(reason, errNoJob) && len(j.Header) == 0    // else this node is slow, or ill
	if n >= maxCrashes || neverAJob {
		why := reason.Error()
		if n > 1 {
			why = fmt.Sprintf("its driver has died %d times without getting anything done; the last time: %v",
				n, reason)
		}
		d.r.endJob(d.incarnation, wire.JobFailed, why)
		return false
	}
	if j.Crashes > 0 {
		d.pause(min(firstWait<<j.Crashes, lastWait))
	}
	return true
}

// pause waits, or until the leadership ends.
func (d *driverRunner) pause(t time.Duration) {
	select {
	case <-time.After(t):
	case <-d.r.s.draining:
	case <-d.r.ctx.Done():
	}
}

// report keeps what the process says of itself.
func (d *driverRunner) report(p wire.Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.progress = p
}

// setTrouble keeps what went wrong, for those that ask how the job is.
func (d *driverRunner) setTrouble(trouble string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.trouble, d.troubleAt = trouble, time.Now()
}

// lastTrouble returns what went wrong last, "" if that was long ago.
func (d *driverRunner) lastTrouble() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.troubleAt) > troubleLife {
		return ""
	}
	return d.trouble
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

// fill adds to a status what only the leader's memory has.
func (d *driverRunner) fill(st *wire.JobStatus) {
	if trouble := d.lastTrouble(); trouble != "" {
		if st.Reason != "" {
			st.Reason += "; "
		}
		st.Reason += trouble
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	st.Progress = d.progress
}
