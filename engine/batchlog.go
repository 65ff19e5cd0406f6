package engine

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/engine/batchlog"
	"github.com/hibana-engine/hibana/engine/batchlog/dirlog"
	"github.com/hibana-engine/hibana/engine/wire"
)

// BatchLog is where a job's driver writes down what it is about to do, before
// it does it. A driver that takes over reads it and goes on. One goroutine
// writes at a time. Implementations: memory, a directory, the Raft log.
type BatchLog interface {
	// Recover returns what is recorded.
	Recover(ctx context.Context) (LogState, error)
	// Start records that a driver takes over with the given header, and returns
	// its epoch, which is above all before it.
	Start(ctx context.Context, h JobHeader) (epoch uint64, err error)
	// RecordValue makes a result of Value durable.
	RecordValue(ctx context.Context, v NamedValue) error
	// Allocate makes an allocation durable, along with completions that were
	// reported since the last call. Its seq follows the last one's.
	Allocate(ctx context.Context, a *BatchAllocation) error
	// Complete reports that an output of a batch is done. It survives the death
	// of the process; it need not survive the machine's before the next Allocate.
	Complete(ctx context.Context, c Completion) error
	// Close ends the use of the log.
	Close() error
}

// JobHeader is what a job is, for as long as its log lives.
type JobHeader struct {
	App         string   `msgpack:"app"`
	Incarnation uint64   `msgpack:"inc"`
	Fingerprint uint64   `msgpack:"fp"`    // of the graph
	Parallelism int      `msgpack:"par"`   // default number of shuffle partitions
	Graph       []string `msgpack:"graph"` // what the fingerprint is of, for people
	Durable     bool     `msgpack:"dur"`   // the log outlives the driver's process
	ModelStore  string   `msgpack:"store"` // address of the models' versions, "" for none
}

// Completion says that an output of a batch is done.
type Completion = batchlog.Completion

// LogState is what a log's entries add up to.
type LogState struct {
	Header     *JobHeader // nil for a log in which no job was started
	Epoch      uint64
	Values     []NamedValue
	Last       *BatchAllocation // newest allocation, nil before the first
	Incomplete []PendingBatch   // allocations with outputs that aren't done, ascending
}

// PendingBatch is an allocation whose outputs aren't all done.
type PendingBatch struct {
	Allocation *BatchAllocation
	Done       []int32 // outputs that are done, ascending
}

// NewMemoryLog returns a log that lives as long as the process: a job without a
// checkpoint directory has one.
func NewMemoryLog() BatchLog { return typedLog{new(batchlog.Memory)} }

// OpenDirLog opens the batch log in a directory, which is made if need be. One
// process at a time may have it open; another gets [ErrLocked].
func OpenDirLog(dir string, log *slog.Logger) (BatchLog, error) {
	l, err := dirlog.Open(dir, log)
	if err != nil {
		return nil, err
	}
	return typedLog{l}, nil
}

// typedLog is a BatchLog over one that knows nothing of what it holds.
type typedLog struct{ batchlog.Log }

// Recover decodes what is recorded.
func (l typedLog) Recover(ctx context.Context) (LogState, error) {
	s, epoch, err := l.Log.Recover(ctx)
	if err != nil {
		return LogState{}, err
	}
	state := LogState{Epoch: epoch}
	if len(s.Header) > 0 {
		if state.Header, err = decodeHeader(s.Header); err != nil {
			return LogState{}, err
		}
	}
	for _, v := range s.Values {
		state.Values = append(state.Values, NamedValue(v))
	}
	for _, b := range s.Pending {
		a, err := DecodeAllocation(b.Data)
		if err != nil {
			return LogState{}, err
		}
		state.Incomplete = append(state.Incomplete, PendingBatch{Allocation: a, Done: b.Done})
	}
	if s.Last.Seq > 0 {
		if state.Last, err = DecodeAllocation(s.Last.Data); err != nil {
			return LogState{}, err
		}
	}
	return state, nil
}

// decodeHeader reads a header, also one in a directory of the first format, which
// has no version.
func decodeHeader(b []byte) (*JobHeader, error) {
	h := new(JobHeader)
	if b[0] == wire.Format {
		return h, wire.Decode(b, h)
	}
	if err := msgpack.Unmarshal(b, h); err != nil {
		return nil, fmt.Errorf("%w: job header: %w", ErrCorruptLog, err)
	}
	return h, nil
}

// Start records the header.
func (l typedLog) Start(ctx context.Context, h JobHeader) (uint64, error) {
	b, err := wire.Encode(&h)
	if err != nil {
		return 0, err
	}
	return l.Log.Start(ctx, b)
}

// RecordValue records a value.
func (l typedLog) RecordValue(ctx context.Context, v NamedValue) error {
	return l.Log.RecordValue(ctx, batchlog.Value(v))
}

// Allocate records an allocation.
func (l typedLog) Allocate(ctx context.Context, a *BatchAllocation) error {
	b, err := a.Encode()
	if err != nil {
		return err
	}
	return l.Log.Allocate(ctx, a.Seq, b)
}
