package control

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// watchInterval is how often a job's status is sent to those that watch it,
// whether it changes or not.
const watchInterval = 500 * time.Millisecond

// controlService answers engine-submit. See submit.go for submissions, publish.go for versions of
// models.
type controlService struct {
	n       *node
	lead    *lead
	uploads uploads
}

// Jobs implements wire.ControlServer.
func (c *controlService) Jobs(_ *wire.JobsRequest, out grpc.ServerStreamingServer[wire.JobStatus]) error {
	r, err := c.lead.current()
	if err != nil {
		return err
	}
	var all []wire.JobStatus
	c.n.View(func(s *state.State) {
		for _, j := range s.Jobs {
			all = append(all, s.Status(j))
		}
	})
	slices.SortFunc(all, func(x, y wire.JobStatus) int { return cmp.Compare(y.Spec.Incarnation, x.Spec.Incarnation) })
	for i := range all {
		r.fill(&all[i])
		if err := out.Send(&all[i]); err != nil {
			return err
		}
	}
	return nil
}

// Status implements wire.ControlServer.
func (c *controlService) Status(_ context.Context, ref *wire.JobRef) (*wire.JobStatus, error) {
	r, err := c.lead.current()
	if err != nil {
		return nil, err
	}
	return r.status(*ref)
}

// Kill implements wire.ControlServer.
func (c *controlService) Kill(_ context.Context, req *wire.KillRequest) (*wire.JobStatus, error) {
	r, err := c.lead.current()
	if err != nil {
		return nil, err
	}
	before, err := r.status(req.Job)
	if err != nil {
		return nil, err
	}
	inc := before.Spec.Incarnation
	if req.Graceful {
		err = c.n.Record(&state.StopJob{Incarnation: inc}, raftgroup.Never)
	} else {
		err = endJob(c.n.Replica, state.EndJob{Incarnation: inc, State: wire.JobKilled, Reason: "a user ended it", At: time.Now().UnixNano()})
	}
	if err != nil {
		return nil, fmt.Errorf("ending job %d: %w", inc, err)
	}
	c.n.log.Info("a user ends a job", "job", inc, "graceful", req.Graceful, "was", before.State)
	return r.status(wire.JobRef{Incarnation: inc})
}

// Watch implements wire.ControlServer.
func (c *controlService) Watch(ref *wire.JobRef, out grpc.ServerStreamingServer[wire.JobStatus]) error {
	r, err := c.lead.current()
	if err != nil {
		return err
	}
	for {
		changed := c.n.Watch()
		st, err := r.status(*ref)
		if err != nil {
			return err
		}
		if err := out.Send(st); err != nil || st.State.Final() {
			return err
		}
		select {
		case <-changed:
		case <-time.After(watchInterval):
		case <-out.Context().Done():
			return out.Context().Err()
		case <-r.ctx.Done():
			return &wire.NotLeaderError{Leader: c.n.leaderAddress()}
		}
	}
}

// Log implements wire.ControlServer.
func (c *controlService) Log(ref *wire.JobRef, out grpc.ServerStreamingServer[wire.LogEntry]) error {
	if _, err := c.lead.current(); err != nil {
		return err
	}
	var log state.BatchLog
	var err error
	c.n.View(func(s *state.State) {
		var j *state.Job
		if j, err = s.Find(*ref); err == nil && j.State.Final() {
			j, err = s.Resumable(j.Spec.Incarnation)
		}
		if err == nil {
			log = j.BatchLog.Clone()
		}
	})
	if err != nil {
		return err
	}
	return sendLog(&log, out)
}

// DropLog implements wire.ControlServer.
func (c *controlService) DropLog(_ context.Context, ref *wire.JobRef) (*wire.Recorded, error) {
	r, err := c.lead.current()
	if err != nil {
		return nil, err
	}
	st, err := r.status(*ref)
	if err != nil {
		return nil, err
	}
	if err := c.n.Record(&state.DropLog{Incarnation: st.Spec.Incarnation}, raftgroup.Never); err != nil {
		return nil, err
	}
	c.n.log.Info("a user drops what a job has left", "job", st.Spec.Incarnation)
	return &wire.Recorded{}, nil
}

// Executor implements wire.ControlServer.
func (c *controlService) Executor(_ context.Context, req *wire.ExecutorRequest) (*wire.ExecutorAnswer, error) {
	if _, err := c.lead.current(); err != nil {
		return nil, err
	}
	var known *wire.ExecutorStatus
	var start string
	var waiting []uint64
	c.n.View(func(s *state.State) {
		all := s.ListExecutors()
		if i := slices.IndexFunc(all, func(e wire.ExecutorStatus) bool { return e.ID == req.ID }); i >= 0 {
			known, start, waiting = &all[i], s.Executors[req.ID].Start, s.LastFor(req.ID)
		}
	})
	switch {
	case known == nil:
		return nil, fmt.Errorf("%w: there is no executor %q; engine-submit cluster shows those that there are", wire.ErrInvalid, req.ID)
	case req.Forget:
		return &wire.ExecutorAnswer{}, c.n.Record(&state.ForgetExecutor{ID: req.ID}, raftgroup.Never)
	case len(waiting) > 0 && !req.Force:
		return nil, fmt.Errorf("%w: %s is the last executor for jobs %v, which would wait; start another one first, or give --force", wire.ErrInvalid, req.ID, waiting)
	case known.Drained:
		return &wire.ExecutorAnswer{Existed: true}, nil
	}
	c.n.log.Info("a user drains an executor", "executor", req.ID)
	return &wire.ExecutorAnswer{}, c.n.Record(&state.DrainExecutor{ID: req.ID, Start: start}, raftgroup.Never)
}

// Cluster implements wire.ControlServer.
func (c *controlService) Cluster(context.Context, *wire.ClusterRequest) (*wire.ClusterStatus, error) {
	n := c.n
	leader := n.Leader()
	a := &wire.ClusterStatus{ClusterID: n.ClusterID(), Node: n.ID(), Leader: n.Peers()[leader], Term: n.Term()}
	for _, id := range n.Peers().IDs() {
		a.Drivers = append(a.Drivers, wire.DriverNode{ID: id, Address: n.Peers()[id], Leader: id == leader})
	}
	n.View(func(st *state.State) { a.Executors = st.ListExecutors() })
	for i := range a.Executors {
		a.Executors[i].Doubtful = leader == ""
	}
	return a, nil
}
