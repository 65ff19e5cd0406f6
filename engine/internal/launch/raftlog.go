package launch

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hibana-engine/hibana/engine/batchlog"
	"github.com/hibana-engine/hibana/engine/wire"
)

// raftLog is a batchlog.Log in the Raft log of the engine-drivers, reached through
// the daemon that started this process. Every write carries the epoch; a driver
// that isn't the newest gets wire.ErrStaleEpoch.
type raftLog struct {
	daemon wire.JobLogClient
	epoch  uint64
	kind   wire.JobKind
	values int // recorded so far
}

// errLogLost marks the errors for which a driver gives up its place: the log isn't its
// own any more, or can't be written. They are no failure of the job.
var errLogLost = errors.New("this driver has lost its log")

// lost marks an error of the daemon's that is no failure of the job.
func lost(err error) error {
	if errors.Is(err, wire.ErrStaleEpoch) || wire.Transient(err) {
		return fmt.Errorf("%w: %w", errLogLost, err)
	}
	return err
}

// Recover reads what a majority has. The epoch is that of the newest allocation.
func (l *raftLog) Recover(ctx context.Context) (batchlog.State, uint64, error) {
	var state batchlog.State
	s, err := l.daemon.Recover(ctx, &wire.RecoverRequest{Epoch: l.epoch})
	for err == nil {
		var e *wire.LogEntry
		if e, err = s.Recv(); err == nil {
			err = e.AddTo(&state)
		}
	}
	if !errors.Is(err, io.EOF) {
		return state, 0, fmt.Errorf("reading the batch log: %w", lost(err))
	}
	l.values = len(state.Values)
	return state, state.Last.Epoch, nil
}

// Start records the header. The epoch is the one that the process was given.
func (l *raftLog) Start(ctx context.Context, header []byte) (uint64, error) {
	if err := l.daemon.Start(ctx, &wire.StartRequest{Epoch: l.epoch, Header: header, Kind: l.kind}); err != nil {
		return 0, fmt.Errorf("recording the job's header: %w", lost(err))
	}
	return l.epoch, nil
}

// RecordValue makes a result of Value durable.
func (l *raftLog) RecordValue(ctx context.Context, v batchlog.Value) error {
	if len(v.Data) > wire.MaxPayload {
		return fmt.Errorf("%w: it takes %d bytes, at most %d can be recorded", wire.ErrTooLarge, len(v.Data), wire.MaxPayload)
	}
	if err := l.daemon.RecordValue(ctx, &wire.ValueRequest{Epoch: l.epoch, Index: l.values, Name: v.Name, Data: v.Data}); err != nil {
		return lost(err)
	}
	l.values++
	return nil
}

// Allocate commits an allocation with completions, in one entry. When it returns nil nothing
// can lose it; when the outcome isn't known the driver gives up its place.
func (l *raftLog) Allocate(ctx context.Context, b batchlog.Batch, done ...batchlog.Completion) error {
	if n := len(b.Data); n > wire.MaxPayload {
		return fmt.Errorf("%w: the allocation takes %d bytes, at most %d can be logged; plan fewer ranges", wire.ErrTooLarge, n, wire.MaxPayload)
	}
	return lost(l.daemon.Allocate(ctx, &wire.AllocateRequest{Epoch: l.epoch, Seq: b.Seq, Allocation: b.Data, Keep: b.Keep, Completions: done}))
}

// Complete hands a completion to the daemon, which writes it with the next
// allocation.
func (l *raftLog) Complete(ctx context.Context, c batchlog.Completion) error {
	return lost(l.daemon.Complete(ctx, &wire.CompleteRequest{Epoch: l.epoch, Completions: []batchlog.Completion{c}}))
}

// Close does nothing: the daemon owns the log.
func (l *raftLog) Close() error { return nil }
