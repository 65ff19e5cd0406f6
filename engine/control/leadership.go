package control

import (
	"context"
	"errors"
	"maps"
	"slices"
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
	s      *server
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	ready  chan struct{} // closed when all that was committed before is applied
	began  time.Time     // when ready was closed; read after it

	refused map[uint64]time.Time // since when no executor can run a job; of run's goroutine

	mu      sync.Mutex
	runners map[uint64]*driverRunner // by incarnation
	daemons map[string]*daemon       // by executor
}

func newLeadership(ctx context.Context, s *server) *leadership {
	r := &leadership{s: s, ready: make(chan struct{}), runners: make(map[uint64]*driverRunner), daemons: make(map[string]*daemon), refused: make(map[uint64]time.Time)}
	r.ctx, r.cancel = context.WithCancel(ctx)
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
	r.s.log.Info("this driver leads", "cluster", r.s.ClusterID(), "after", time.Since(began).Round(time.Millisecond))
	tick := time.NewTicker(leadershipTick)
	defer tick.Stop()
	for r.ctx.Err() == nil {
		changed := r.s.Watch()
		r.s.AdmitDrivers()
		r.startRunners()
		r.failRefused()
		r.loseSilent()
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
		err := r.s.Barrier()
		if err == nil {
			err = r.found()
		}
		if err == nil {
			break
		}
		if errors.Is(err, wire.ErrOtherCluster) || errors.Is(err, raftgroup.ErrDataDir) {
			r.s.Fail(err)
			return false
		}
		r.s.log.Warn("beginning to lead", "err", err)
		select {
		case <-time.After(50 * time.Millisecond):
		case <-r.ctx.Done():
			return false
		}
	}
	r.began = time.Now()
	close(r.ready)
	return true
}

// found names a new cluster.
func (r *leadership) found() error {
	named := func(s *state.State) bool { return s.ClusterID != "" }
	done := false
	r.s.View(func(s *state.State) { done = named(s) })
	if !done {
		if err := r.s.Record(&state.FoundCluster{ClusterID: security.NewToken()[:state.MarkLen]}, named); err != nil {
			return err
		}
	}
	return r.s.Learn()
}

// startRunners starts a runner for each job that runs and has none.
func (r *leadership) startRunners() {
	if r.s.isDraining() {
		return
	}
	var live []uint64
	r.s.View(func(s *state.State) {
		for inc, j := range s.Jobs {
			if !j.State.Final() {
				live = append(live, inc)
			}
		}
	})
	slices.Sort(live)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, inc := range live {
		if r.runners[inc] != nil {
			continue
		}
		d := &driverRunner{r: r, incarnation: inc, done: make(chan struct{})}
		r.runners[inc] = d
		r.work.Go(func() {
			d.run()
			r.mu.Lock()
			delete(r.runners, inc)
			r.mu.Unlock()
			close(d.done)
		})
	}
}

// allRunners lists the runners.
func (r *leadership) allRunners() []*driverRunner {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.runners))
}

// runner returns a job's runner, nil if there is none.
func (r *leadership) runner(incarnation uint64) *driverRunner {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runners[incarnation]
}

// refusalPatience is how long a job that the executors which are there can't run
// waits for one that is away.
const refusalPatience = time.Minute

// failRefused ends the jobs that no executor can run.
func (r *leadership) failRefused() {
	refused := make(map[uint64]string)
	away := make(map[uint64]bool)
	r.s.View(func(s *state.State) {
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
			r.endJob(inc, wire.JobFailed, "no executor can run it\n"+why)
		}
	}
}

// endJob puts a job into a final state, whoever drives it.
func (r *leadership) endJob(incarnation uint64, as wire.JobState, reason string) {
	err := r.s.Record(&state.EndJob{Incarnation: incarnation, State: as, Reason: wire.Clip(reason, state.MaxReason), At: time.Now().UnixNano()}, raftgroup.Never)
	if err != nil {
		r.s.log.Warn("ending a job", "job", incarnation, "err", err)
	}
}
