package launch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/engine/batchlog"
	"github.com/hibana-engine/hibana/engine/batchlog/dirlog"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/wire"
)

// OpenLog opens the batch log in a checkpoint directory, which is made if need be. One
// process at a time may have it open; another gets [batchlog.ErrLocked]. Without a
// directory, "", the log lives as long as the process.
func OpenLog(checkpoint string, log *slog.Logger) (plan.Log, error) {
	if checkpoint == "" {
		return typedLog{new(batchlog.Memory)}, nil
	}
	l, err := dirlog.Open(checkpoint, log)
	if err != nil {
		return nil, err
	}
	return typedLog{l}, nil
}

// LookIntoLog is OpenLog for who only looks: a directory without a batch log stays as it
// is, and the log is empty.
func LookIntoLog(checkpoint string, log *slog.Logger) (plan.Log, error) {
	holds, err := dirlog.Holds(checkpoint)
	if err != nil {
		return nil, err
	}
	if !holds {
		checkpoint = ""
	}
	return OpenLog(checkpoint, log)
}

// typedLog is a plan.Log over one that knows nothing of what it holds.
type typedLog struct{ batchlog.Log }

// Recover decodes what is recorded.
func (l typedLog) Recover(ctx context.Context) (plan.LogState, error) {
	s, epoch, err := l.Log.Recover(ctx)
	if err != nil {
		return plan.LogState{}, err
	}
	state := plan.LogState{Epoch: epoch}
	if len(s.Header) > 0 {
		if state.Header, err = decodeHeader(s.Header); err != nil {
			return plan.LogState{}, err
		}
	}
	for _, v := range s.Values {
		state.Values = append(state.Values, plan.NamedValue(v))
	}
	for _, b := range s.Pending {
		a, err := plan.DecodeAllocation(b.Data)
		if err != nil {
			return plan.LogState{}, err
		}
		state.Incomplete = append(state.Incomplete, plan.PendingBatch{Allocation: a, Done: b.Done})
	}
	for _, b := range s.Past {
		a, err := plan.DecodeAllocation(b.Data)
		if err != nil {
			return plan.LogState{}, err
		}
		state.Past = append(state.Past, a)
	}
	if s.Last.Seq > 0 {
		if state.Last, err = plan.DecodeAllocation(s.Last.Data); err != nil {
			return plan.LogState{}, err
		}
	}
	return state, nil
}

// decodeHeader reads a header, also one in a directory of the first format, which
// has no version.
func decodeHeader(b []byte) (*plan.JobHeader, error) {
	h := new(plan.JobHeader)
	if b[0] == wire.Format {
		err := wire.Decode(b, h)
		switch {
		case errors.Is(err, wire.ErrFormat):
			return nil, fmt.Errorf("%w: job header: %w", plan.ErrFormat, err)
		case err != nil:
			return nil, fmt.Errorf("%w: job header: %w", plan.ErrCorruptLog, err)
		}
		return h, nil
	}
	if err := msgpack.Unmarshal(b, h); err != nil {
		return nil, fmt.Errorf("%w: job header: %w", plan.ErrCorruptLog, err)
	}
	return h, nil
}

// Start records the header.
func (l typedLog) Start(ctx context.Context, h plan.JobHeader) (uint64, error) {
	b, err := wire.Encode(&h)
	if err != nil {
		return 0, err
	}
	return l.Log.Start(ctx, b)
}

// RecordValue records a value.
func (l typedLog) RecordValue(ctx context.Context, v plan.NamedValue) error {
	return l.Log.RecordValue(ctx, batchlog.Value(v))
}

// Allocate records an allocation, and completions.
func (l typedLog) Allocate(ctx context.Context, a *plan.Allocation, done ...plan.Completion) error {
	b, err := a.Encode()
	if err != nil {
		return err
	}
	return l.Log.Allocate(ctx, batchlog.Batch{Seq: a.Seq, Data: b, Keep: a.Keep}, done...)
}
