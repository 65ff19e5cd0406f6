package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/binaries"
	"github.com/hibana-engine/hibana/engine/wire"
)

// leaderSilence is how long a leader may say nothing before the daemon looks for
// another one: a leader that hangs closes no connection. It is short enough to be
// with the next leader before that gives the daemon up.
const leaderSilence = 4 * wire.HeartbeatInterval

// errSilent is why a daemon leaves a leader that hangs.
var errSilent = errors.New("the leader has said nothing")

// follow follows one leader until the stream breaks. It reports whether the
// leader took the daemon in.
func (d *daemon) follow(ctx context.Context) (followed bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cc, address, err := d.cluster.Leader(ctx)
	if err != nil {
		return false, err
	}
	stream, err := wire.ExecutorsClient{CC: cc}.Follow(ctx)
	if err != nil {
		return false, err
	}
	return newFollowing(d, stream, address).run(ctx, cancel)
}

// following is the daemon's stream to one leader.
//
// THREADING: run's goroutine sends and decides; receive has one of its own, which
// run waits for.
type following struct {
	d        *daemon
	stream   grpc.BidiStreamingClient[wire.DaemonReport, wire.Assignments]
	leader   string
	silent   *time.Timer            // runs while the leader says nothing
	assigned chan *wire.Assignments // the newest list, until it is taken
	broken   chan error             // why the stream broke
}

func newFollowing(d *daemon, stream grpc.BidiStreamingClient[wire.DaemonReport, wire.Assignments], leader string) *following {
	return &following{d: d, stream: stream, leader: leader, assigned: make(chan *wire.Assignments, 1), broken: make(chan error, 1)}
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
	d := f.d
	register := &wire.Register{
		ID: d.cfg.ID, Start: d.start, ClusterID: d.dir.cluster(), Address: d.address, Slots: d.cfg.Slots, Platform: binaries.ThisPlatform(),
	}
	if f.stream.Send(&wire.DaemonReport{Register: register}) != nil {
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
			wake = d.wake
		}
		select {
		case a := <-f.assigned:
			if !followed {
				followed = true
				d.log.Info("following a leader", "leader", f.leader, "jobs", len(a.Jobs))
				d.reportAll()
			}
			if err := f.take(a); err != nil {
				return true, err
			}
		case err := <-f.broken:
			return followed, err
		case <-wake:
		case <-beat.C:
			if f.stream.Send(&wire.DaemonReport{Heartbeat: &wire.Heartbeat{}}) != nil {
				return followed, <-f.broken
			}
			if followed && time.Since(d.pruned) > pruneEvery { // it is known which jobs run
				d.prune()
			}
		case <-ctx.Done():
			return followed, ctx.Err()
		}
	}
}

// report sends what jobs have to report. It returns false if the stream broke.
func (f *following) report() bool {
	for _, m := range f.d.takeReports() {
		if f.stream.Send(m) != nil {
			return false
		}
	}
	return true
}

// take carries out assignments.
func (f *following) take(a *wire.Assignments) error {
	d := f.d
	if err := d.dir.joinCluster(a.ClusterID); err != nil {
		return err
	}
	want := make(map[uint64]bool, len(a.Jobs))
	for _, j := range a.Jobs {
		want[j.Spec.Incarnation] = true
		if d.jobs[j.Spec.Incarnation] == nil {
			d.startJob(j)
		}
	}
	for inc, j := range d.jobs {
		if !want[inc] {
			d.log.Info("a job has ended here", "job", inc, "name", j.spec.Name)
			j.cancel()
			delete(d.jobs, inc)
		}
	}
	return nil
}
