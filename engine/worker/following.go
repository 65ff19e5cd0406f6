package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
)

// leaderSilence is how long a leader may say nothing before the daemon looks for
// another one: a leader that hangs closes no connection. It is short enough to be
// with the next leader before that gives the daemon up.
const leaderSilence = 4 * wire.HeartbeatInterval

// errSilent is why a daemon leaves a leader that hangs.
var errSilent = errors.New("the leader has said nothing")

// following is the daemon's stream to one leader.
//
// THREADING: run's goroutine sends and decides; receive has one of its own, which
// run waits for.
type following struct {
	self     *wire.Register // who the daemon is
	jobs     *jobs
	stream   grpc.BidiStreamingClient[wire.DaemonReport, wire.Assignments]
	leader   string
	silent   *time.Timer            // runs while the leader says nothing
	assigned chan *wire.Assignments // the newest list, until it is taken
	broken   chan error             // why the stream broke
}

func newFollowing(self *wire.Register, jobs *jobs, stream grpc.BidiStreamingClient[wire.DaemonReport, wire.Assignments], leader string) *following {
	return &following{self: self, jobs: jobs, stream: stream, leader: leader, assigned: make(chan *wire.Assignments, 1), broken: make(chan error, 1)}
}

// run serves the stream until it breaks or the leader says nothing. cancel ends
// ctx, which is the stream's.
func (f *following) run(ctx context.Context, cancel context.CancelCauseFunc) (followed bool, err error) {
	f.silent = time.AfterFunc(leaderSilence, func() { cancel(fmt.Errorf("%w for %s", errSilent, leaderSilence)) })
	defer f.silent.Stop()
	var receiver sync.WaitGroup
	defer receiver.Wait()
	defer cancel(nil)
	receiver.Go(f.receive)
	followed, err = f.serve(ctx)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return followed, err
}

// receive takes what the leader sends until the stream breaks. It waits for
// nothing else: serve waits for it.
func (f *following) receive() {
	for {
		m, err := wire.ReceiveAssignments(f.stream)
		if err != nil {
			f.broken <- err
			return
		}
		f.silent.Reset(leaderSilence)
		if m.Alive != nil {
			continue
		}
		select {
		case <-f.assigned: // a list replaces the one before
		default:
		}
		f.assigned <- m // nobody else sends
	}
}

// serve registers, reports and takes assignments until the stream breaks.
func (f *following) serve(ctx context.Context) (followed bool, err error) {
	if f.stream.Send(&wire.DaemonReport{Register: f.self}) != nil {
		return false, <-f.broken // Recv says why
	}
	beat := time.NewTicker(wire.HeartbeatInterval)
	defer beat.Stop()
	for {
		var wake <-chan struct{} // reports follow the first assignments
		if followed {
			if !f.report() {
				return true, <-f.broken
			}
			wake = f.jobs.reports.wake
		}
		select {
		case a := <-f.assigned:
			if !followed {
				followed = true
				f.jobs.log.Info("following a leader", "leader", f.leader, "jobs", len(a.Jobs))
				f.jobs.reports.again()
			}
			if err := f.jobs.dir.joinCluster(a.ClusterID); err != nil {
				return true, err
			}
			f.jobs.assign(a.Jobs)
		case err := <-f.broken:
			return followed, err
		case <-wake:
		case <-beat.C:
			if f.stream.Send(&wire.DaemonReport{Heartbeat: &wire.Heartbeat{}}) != nil {
				return followed, <-f.broken
			}
			if followed && time.Since(f.jobs.pruned) > pruneEvery { // it is known which jobs run
				f.jobs.prune()
			}
		case <-ctx.Done():
			return followed, ctx.Err()
		}
	}
}

// report sends what jobs have to report. It returns false if the stream broke.
func (f *following) report() bool {
	for _, m := range f.jobs.reports.take() {
		if f.stream.Send(m) != nil {
			return false
		}
	}
	return true
}
