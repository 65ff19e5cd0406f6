package launch

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/wire"
)

// raftLog is a plan.Log in the Raft log of the engine-drivers, reached through
// the daemon that started this process. Every write carries the epoch; a driver
// that isn't the newest gets wire.ErrStaleEpoch.
type raftLog struct {
	daemon wire.JobLogClient
	epoch  uint64
	values int // recorded so far
}

// Recover reads what a majority has.
func (l *raftLog) Recover(ctx context.Context) (plan.LogState, error) {
	var state plan.LogState
	s, err := l.daemon.Recover(ctx, &wire.RecoverRequest{Epoch: l.epoch})
	if err != nil {
		return state, fmt.Errorf("reading the batch log: %w", err)
	}
	for {
		e, err := s.Recv()
		if errors.Is(err, io.EOF) {
			l.values = len(state.Values)
			return state, nil
		}
		if err == nil {
			err = take(&state, e)
		}
		if err != nil {
			return state, fmt.Errorf("reading the batch log: %w", err)
		}
	}
}

// take adds a part of what is recorded.
func take(s *plan.LogState, e *wire.LogEntry) error {
	switch {
	case e.Header != nil:
		s.Header = new(plan.JobHeader)
		return wire.Decode(e.Header.Data, s.Header)
	case e.Value != nil:
		s.Values = append(s.Values, plan.NamedValue{Name: e.Value.Name, Data: e.Value.Data})
	case e.Pending != nil:
		a, err := plan.DecodeAllocation(e.Pending.Data)
		if err != nil {
			return err
		}
		s.Incomplete = append(s.Incomplete, plan.PendingBatch{Allocation: a, Done: e.Pending.Done})
		s.Epoch = max(s.Epoch, e.Pending.Epoch)
	case e.Last != nil:
		a, err := plan.DecodeAllocation(e.Last.Data)
		if err != nil {
			return err
		}
		s.Last = a
		s.Epoch = max(s.Epoch, e.Last.Epoch)
	default:
		return fmt.Errorf("%w: an entry without contents", wire.ErrMalformed)
	}
	return nil
}

// Start records the header. The epoch is the one that the process was given.
func (l *raftLog) Start(ctx context.Context, h plan.JobHeader) (uint64, error) {
	b, err := wire.Encode(&h)
	if err == nil {
		err = l.daemon.Start(ctx, &wire.StartRequest{Epoch: l.epoch, Header: b})
	}
	if err != nil {
		return 0, fmt.Errorf("recording the job's header: %w", err)
	}
	return l.epoch, nil
}

// RecordValue makes a result of Value durable.
func (l *raftLog) RecordValue(ctx context.Context, v plan.NamedValue) error {
	if len(v.Data) > wire.MaxPayload {
		return fmt.Errorf("%w: it takes %d bytes, at most %d can be recorded", wire.ErrTooLarge, len(v.Data), wire.MaxPayload)
	}
	if err := l.daemon.RecordValue(ctx, &wire.ValueRequest{Epoch: l.epoch, Index: l.values, Name: v.Name, Data: v.Data}); err != nil {
		return err
	}
	l.values++
	return nil
}

// Allocate commits an allocation. When it returns nil nothing can lose it; when
// the outcome isn't known the driver gives up its place.
func (l *raftLog) Allocate(ctx context.Context, a *plan.Allocation) error {
	b, err := a.Encode()
	if err != nil {
		return err
	}
	if len(b) > wire.MaxPayload {
		return fmt.Errorf("%w: the allocation takes %d bytes, at most %d can be logged; plan fewer ranges", wire.ErrTooLarge, len(b), wire.MaxPayload)
	}
	return l.daemon.Allocate(ctx, &wire.AllocateRequest{Epoch: l.epoch, Seq: a.Seq, Allocation: b})
}

// Complete hands a completion to the daemon, which writes it with the next
// allocation.
func (l *raftLog) Complete(ctx context.Context, c plan.Completion) error {
	return l.daemon.Complete(ctx, &wire.CompleteRequest{Epoch: l.epoch, Completions: []wire.Completion{{Seq: c.Seq, Output: c.Output}}})
}

// Close does nothing: the daemon owns the log.
func (l *raftLog) Close() error { return nil }
