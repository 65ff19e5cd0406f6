package control

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// leadershipTick is how often a leader looks after what makes no news by itself.
const leadershipTick = 250 * time.Millisecond

// leadership is the time in which this node leads. It runs jobs' drivers and watches
// executors; what it decides becomes a command.
//
// THREADING: run is a goroutine, each runner another; work waits for them. end
// cancels ctx, at which job driver processes are killed and streams end.
type leadership struct {
	n      *node
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	ready  chan struct{} // closed when all that was committed before is applied

	runners *runners
	daemons *daemons
	refused map[uint64]time.Time // since when no executor can run a job; of run's goroutine
}

func newLeadership(ctx context.Context, n *node) *leadership {
	r := &leadership{n: n, ready: make(chan struct{}), daemons: newDaemons(n), refused: make(map[uint64]time.Time)}
	r.ctx, r.cancel = context.WithCancel(ctx)
	r.runners = newRunners(r.ctx, n, &r.work)
	return r
}

// end ends the leadership and waits until its processes are gone.
func (r *leadership) end() {
	r.cancel()
	r.work.Wait()
}

// run begins the leadership and looks after jobs and executors until it ends.
func (r *leadership) run() {
	began := time.Now()
	if !r.begin() {
		return
	}
	r.n.log.Info("this driver leads", "cluster", r.n.ClusterID(), "after", time.Since(began).Round(time.Millisecond))
	tick := time.NewTicker(leadershipTick)
	defer tick.Stop()
	for r.ctx.Err() == nil {
		changed := r.n.Watch()
		r.n.AdmitDrivers()
		r.runners.startMissing()
		r.failRefused()
		r.daemons.loseSilent()
		select {
		case <-changed:
		case <-tick.C:
		case <-r.ctx.Done():
		}
	}
}

// begin waits until the state is what a majority has, and names the cluster if
// it is new. It returns false if the leadership is over before.
func (r *leadership) begin() bool {
	for {
		err := r.n.Barrier()
		if err == nil {
			err = r.found()
		}
		if err == nil {
			break
		}
		if errors.Is(err, wire.ErrOtherCluster) || errors.Is(err, raftgroup.ErrDataDir) {
			r.n.Fail(err)
			return false
		}
		r.n.log.Warn("beginning to lead", "err", err)
		select {
		case <-time.After(50 * time.Millisecond):
		case <-r.ctx.Done():
			return false
		}
	}
	r.daemons.began = time.Now()
	close(r.ready)
	return true
}

// found names a new cluster.
func (r *leadership) found() error {
	named := func(s *state.State) bool { return s.ClusterID != "" }
	done := false
	r.n.View(func(s *state.State) { done = named(s) })
	if !done {
		if err := r.n.Record(&state.FoundCluster{ClusterID: security.NewToken()[:state.MarkLen]}, named); err != nil {
			return err
		}
	}
	return r.n.Learn()
}

// refusalPatience is how long a job that the executors which are there can't run
// waits for one that is away.
const refusalPatience = time.Minute

// failRefused ends the jobs that no executor can run.
func (r *leadership) failRefused() {
	refused := make(map[uint64]string)
	away := make(map[uint64]bool)
	r.n.View(func(s *state.State) {
		for inc, j := range s.Jobs {
			if why := s.Refusals(j); why != "" && !j.State.Final() {
				refused[inc], away[inc] = why, s.Away(j)
			}
		}
	})
	maps.DeleteFunc(r.refused, func(inc uint64, _ time.Time) bool { return refused[inc] == "" })
	for inc, why := range refused {
		if r.refused[inc].IsZero() {
			r.refused[inc] = time.Now()
		}
		if !away[inc] || time.Since(r.refused[inc]) >= refusalPatience {
			r.n.failJob(inc, 0, "no executor can run it\n"+why)
		}
	}
}

// status returns how a job is.
func (r *leadership) status(ref wire.JobRef) (*wire.JobStatus, error) {
	var st wire.JobStatus
	var err error
	r.n.View(func(s *state.State) {
		var j *state.Job
		if j, err = s.Find(ref); err == nil {
			st = s.Status(j)
		}
	})
	if err != nil {
		return nil, err
	}
	r.fill(&st)
	return &st, nil
}

// fill adds to a status what only the leader's memory has.
func (r *leadership) fill(st *wire.JobStatus) {
	if d := r.runners.of(st.Spec.Incarnation); d != nil {
		d.health.fill(st, r.drained)
	}
}

// drained reports whether an executor was drained.
func (r *leadership) drained(executor string) (drained bool) {
	r.n.View(func(s *state.State) {
		e := s.Executors[executor]
		drained = e != nil && e.Drained
	})
	return drained
}
