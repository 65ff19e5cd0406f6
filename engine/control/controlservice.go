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

// controlService answers engine-submit. See submit.go for submissions.
type controlService struct{ s *server }

var _ wire.ControlServer = (*controlService)(nil)

// Jobs implements wire.ControlServer.
func (c *controlService) Jobs(_ *wire.JobsRequest, out grpc.ServerStreamingServer[wire.JobStatus]) error {
	r, err := c.s.current()
	if err != nil {
		return err
	}
	var all []wire.JobStatus
	c.s.View(func(s *state.State) {
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
	r, err := c.s.current()
	if err != nil {
		return nil, err
	}
	return r.status(*ref)
}

// status returns how a job is.
func (r *leadership) status(ref wire.JobRef) (*wire.JobStatus, error) {
	var st wire.JobStatus
	var err error
	r.s.View(func(s *state.State) {
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
	if d := r.runner(st.Spec.Incarnation); d != nil {
		d.fill(st)
	}
}

// Kill implements wire.ControlServer.
func (c *controlService) Kill(_ context.Context, req *wire.KillRequest) (*wire.JobStatus, error) {
	r, err := c.s.current()
	if err != nil {
		return nil, err
	}
	before, err := r.status(req.Job)
	if err != nil {
		return nil, err
	}
	inc := before.Spec.Incarnation
	if req.Graceful {
		err = c.s.Record(&state.StopJob{Incarnation: inc}, raftgroup.Never)
	} else {
		err = c.s.Record(&state.EndJob{Incarnation: inc, State: wire.JobKilled, Reason: "a user ended it", At: time.Now().UnixNano()}, raftgroup.Never)
	}
	if err != nil {
		return nil, fmt.Errorf("ending job %d: %w", inc, err)
	}
	c.s.log.Info("a user ends a job", "job", inc, "graceful", req.Graceful, "was", before.State)
	return r.status(wire.JobRef{Incarnation: inc})
}

// Watch implements wire.ControlServer.
func (c *controlService) Watch(ref *wire.JobRef, out grpc.ServerStreamingServer[wire.JobStatus]) error {
	r, err := c.s.current()
	if err != nil {
		return err
	}
	for {
		changed := c.s.Watch()
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
			return &wire.NotLeaderError{Leader: c.s.leaderAddress()}
		}
	}
}

// Cluster implements wire.ControlServer.
func (c *controlService) Cluster(context.Context, *wire.ClusterRequest) (*wire.ClusterStatus, error) {
	s := c.s
	leader := s.Leader()
	a := &wire.ClusterStatus{ClusterID: s.ClusterID(), Node: s.ID(), Leader: s.Peers()[leader], Term: s.Term()}
	for _, id := range s.Peers().IDs() {
		a.Drivers = append(a.Drivers, wire.DriverNode{ID: id, Address: s.Peers()[id], Leader: id == leader})
	}
	s.View(func(st *state.State) { a.Executors = st.ListExecutors() })
	return a, nil
}
