package control

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// jobService is what one job driver process may say. It serves wire.JobLog over
// the process's socket, so that it knows who speaks.
//
// THREADING: gRPC calls it from many goroutines, also for a moment after the
// process has ended; what those calls leave of completions is recorded last of all.
type jobService struct {
	node   *raftgroup.Replica
	spec   wire.JobSpec
	driver wire.DriverSpec
	epoch  uint64
	health *health
	ctx    context.Context // of the process

	completions  *completions
	publications *publications
	prints       *prints
	deaths       chan *wire.ProcessDied // to be told to the process
	attached     atomic.Bool            // the process has introduced itself
}

// newJobService returns the service for a process that runs under ctx. What the process
// reports goes into its job's health, as does what is wrong with its executors: the
// process itself sees only that connections break.
func newJobService(ctx context.Context, n *raftgroup.Replica, driver wire.DriverSpec, epoch uint64, h *health) *jobService {
	job := driver.Job.Incarnation
	record := func(c []wire.Completion) error {
		return n.Record(&state.CompleteOutputs{Incarnation: job, Epoch: epoch, Completions: c}, raftgroup.Never)
	}
	return &jobService{
		node: n, spec: driver.Job, driver: driver, epoch: epoch, health: h, ctx: ctx,
		completions: newCompletions(ctx, job, record), publications: newPublications(job), prints: newPrints(job), deaths: make(chan *wire.ProcessDied, maxDeaths),
	}
}

// check refuses a process that speaks for another epoch than its own.
func (s *jobService) check(epoch uint64) error {
	if epoch != s.epoch {
		return fmt.Errorf("%w: this process is the driver of epoch %d, not %d", wire.ErrStaleEpoch, s.epoch, epoch)
	}
	return s.ctx.Err()
}

// enter is check for a call that may take completions or leave some. It ends with
// leave.
func (s *jobService) enter(epoch uint64) (leave func(), err error) {
	if err := s.check(epoch); err != nil {
		return nil, err
	}
	return s.completions.enter()
}

// Attach implements wire.JobLogServer.
func (s *jobService) Attach(context.Context, *wire.AttachDriver) (*wire.DriverSpec, error) {
	s.attached.Store(true)
	return &s.driver, nil
}

// Events implements wire.JobLogServer.
func (s *jobService) Events(_ *wire.EventsRequest, out grpc.ServerStreamingServer[wire.DriverEvent]) error {
	if err := out.Send(&wire.DriverEvent{Activated: &wire.Activated{Epoch: s.epoch}}); err != nil {
		return err
	}
	var sent *wire.Members
	stopSent := false
	for {
		changed := s.node.Watch()
		if err := s.sendDeaths(out); err != nil { // before the processes that follow
			return err
		}
		var now wire.Members
		stop := false
		s.node.View(func(st *state.State) {
			if j := st.Jobs[s.spec.Incarnation]; j != nil {
				now, stop = st.Members(j), j.State == wire.JobStopping
			}
		})
		if sent == nil || sent.Expected != now.Expected || sent.Slots != now.Slots || !slices.Equal(sent.Processes, now.Processes) {
			sent = &now
			if err := out.Send(&wire.DriverEvent{Members: sent}); err != nil {
				return err
			}
		}
		if stop && !stopSent {
			stopSent = true
			if err := out.Send(&wire.DriverEvent{Stop: &wire.StopJob{}}); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case died := <-s.deaths:
			if err := out.Send(&wire.DriverEvent{Died: died}); err != nil {
				return err
			}
		case q := <-s.publications.requests:
			if err := out.Send(&wire.DriverEvent{Publish: q}); err != nil {
				return err
			}
		case p := <-s.prints.requests:
			if err := out.Send(&wire.DriverEvent{Print: p}); err != nil {
				return err
			}
		case <-out.Context().Done():
			return out.Context().Err()
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
}

// maxDeaths bounds the executor processes that died and of which the process isn't
// told yet. It goes on without those over it: what ran there was interrupted.
const maxDeaths = 64

// tellDied tells the process of an executor process that ended by itself.
func (s *jobService) tellDied(died wire.ProcessDied) {
	select {
	case s.deaths <- &died:
	default:
	}
}

// sendDeaths sends what waits to be told.
func (s *jobService) sendDeaths(out grpc.ServerStreamingServer[wire.DriverEvent]) error {
	for {
		select {
		case died := <-s.deaths:
			if err := out.Send(&wire.DriverEvent{Died: died}); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// Published implements wire.JobLogServer.
func (s *jobService) Published(_ context.Context, a *wire.PublishedModel) (*wire.Recorded, error) {
	if err := s.check(a.Epoch); err != nil {
		return nil, err
	}
	s.publications.answer(a)
	return &wire.Recorded{}, nil
}

// Printed implements wire.JobLogServer.
func (s *jobService) Printed(ctx context.Context, p *wire.Printed) (*wire.Recorded, error) {
	if err := s.check(p.Epoch); err != nil {
		return nil, err
	}
	return &wire.Recorded{}, s.prints.hand(ctx, p)
}

// Recover implements wire.JobLogServer.
func (s *jobService) Recover(req *wire.RecoverRequest, out grpc.ServerStreamingServer[wire.LogEntry]) error {
	leave, err := s.enter(req.Epoch)
	if err != nil {
		return err
	}
	defer leave()
	if err := s.completions.flushNow(); err != nil {
		return err
	}
	if err := s.node.Barrier(); err != nil {
		return err
	}
	var j *state.Job
	s.node.View(func(st *state.State) {
		if j, err = st.Driven(s.spec.Incarnation, req.Epoch); err == nil {
			j = j.Clone()
		}
	})
	if err != nil {
		return err
	}
	return sendLog(&j.BatchLog, out)
}

// sendLog sends what is recorded of a job.
func sendLog(j *state.BatchLog, out grpc.ServerStreamingServer[wire.LogEntry]) error {
	var entries []*wire.LogEntry
	if len(j.Header) > 0 {
		entries = append(entries, &wire.LogEntry{Header: &wire.Header{Data: j.Header}})
	}
	for i := range j.Values {
		entries = append(entries, &wire.LogEntry{Value: &j.Values[i]})
	}
	for i := range j.Past {
		entries = append(entries, &wire.LogEntry{Past: &j.Past[i]})
	}
	for i := range j.Pending {
		entries = append(entries, &wire.LogEntry{Pending: &j.Pending[i]})
	}
	if j.Last.Seq > 0 {
		entries = append(entries, &wire.LogEntry{Last: &j.Last})
	}
	for _, e := range entries {
		if err := out.Send(e); err != nil {
			return err
		}
	}
	return nil
}

// Start implements wire.JobLogServer.
func (s *jobService) Start(_ context.Context, req *wire.StartRequest) (*wire.Recorded, error) {
	if err := s.check(req.Epoch); err != nil {
		return nil, err
	}
	return &wire.Recorded{}, s.node.Record(&state.StartJob{Incarnation: s.spec.Incarnation, Epoch: s.epoch, Header: req.Header, Kind: req.Kind}, raftgroup.Never)
}

// RecordValue implements wire.JobLogServer.
func (s *jobService) RecordValue(_ context.Context, req *wire.ValueRequest) (*wire.Recorded, error) {
	if err := s.check(req.Epoch); err != nil {
		return nil, err
	}
	if len(req.Data) > wire.MaxPayload {
		return nil, fmt.Errorf("%w: value %q has %d bytes, at most %d go; broadcast what is large",
			wire.ErrTooLarge, req.Name, len(req.Data), wire.MaxPayload)
	}
	c := &state.RecordValue{Incarnation: s.spec.Incarnation, Epoch: s.epoch, Index: req.Index, Value: wire.Value{Name: req.Name, Data: req.Data}}
	return &wire.Recorded{}, s.node.Record(c, raftgroup.Never)
}

// Allocate implements wire.JobLogServer.
func (s *jobService) Allocate(_ context.Context, req *wire.AllocateRequest) (_ *wire.Recorded, err error) {
	leave, err := s.enter(req.Epoch)
	if err != nil {
		return nil, err
	}
	defer leave()
	if len(req.Allocation) > wire.MaxPayload {
		return nil, fmt.Errorf("%w: the allocation of batch %d has %d bytes, at most %d go",
			wire.ErrTooLarge, req.Seq, len(req.Allocation), wire.MaxPayload)
	}
	if len(req.Completions) > state.MaxCompletions {
		return nil, fmt.Errorf("%w: batch %d comes with %d completions, at most %d go",
			wire.ErrTooLarge, req.Seq, len(req.Completions), state.MaxCompletions)
	}
	riding := s.completions.claim()
	defer s.completions.release(riding, &err)
	c := &state.AllocateBatch{Incarnation: s.spec.Incarnation, Epoch: s.epoch, Seq: req.Seq, Data: req.Allocation, Keep: req.Keep, Completions: slices.Concat(riding, req.Completions)}
	err = s.node.Record(c, func(st *state.State) bool {
		j, err := st.Driven(c.Incarnation, c.Epoch)
		return err == nil && j.Last.Seq == c.Seq && j.Last.Epoch == c.Epoch && bytes.Equal(j.Last.Data, c.Data)
	})
	if err != nil {
		return nil, err
	}
	return &wire.Recorded{}, nil
}

// Complete implements wire.JobLogServer.
func (s *jobService) Complete(_ context.Context, req *wire.CompleteRequest) (*wire.Recorded, error) {
	leave, err := s.enter(req.Epoch)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := s.completions.wait(req.Completions); err != nil {
		return nil, err
	}
	return &wire.Recorded{}, nil
}

// Report implements wire.JobLogServer.
func (s *jobService) Report(_ context.Context, p *wire.Progress) (*wire.Recorded, error) {
	s.health.report(*p)
	return &wire.Recorded{}, nil
}

// Finish implements wire.JobLogServer.
func (s *jobService) Finish(_ context.Context, req *wire.FinishRequest) (*wire.Recorded, error) {
	leave, err := s.enter(req.Epoch)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := s.completions.flushNow(); err != nil {
		return nil, err
	}
	end := state.EndJob{Incarnation: s.spec.Incarnation, Epoch: s.epoch, State: wire.JobFinished, At: time.Now().UnixNano()}
	switch {
	case req.Asked:
		end.State, end.Reason = wire.JobKilled, "a user ended it"
	case req.Failure != "":
		end.State, end.Reason = wire.JobFailed, wire.Clip(s.explain(req.Failure), state.MaxReason)
	}
	return &wire.Recorded{}, endJob(s.node, end)
}

// explain adds to why a job failed what its executors said when they ended.
func (s *jobService) explain(failure string) string {
	if why, _ := s.health.lastTrouble(); why != "" && !strings.Contains(failure, why) {
		return failure + "\nwhat went wrong before: " + why
	}
	return failure
}
