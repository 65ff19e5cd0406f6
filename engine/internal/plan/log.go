package plan

import (
	"context"

	"github.com/hibana-engine/hibana/engine/batchlog"
)

// Log is where a job's driver writes down what it is about to do, before
// it does it. A driver that takes over reads it and goes on. One goroutine
// writes at a time. Implementations: memory, a directory, the Raft log.
type Log interface {
	// Recover returns what is recorded.
	Recover(ctx context.Context) (LogState, error)
	// Start records that a driver takes over with the given header, and returns
	// its epoch, which is above all before it.
	Start(ctx context.Context, h JobHeader) (epoch uint64, err error)
	// RecordValue makes a result of Value durable.
	RecordValue(ctx context.Context, v NamedValue) error
	// Allocate makes an allocation durable, along with completions: those that were
	// reported since the last call and those given. Its seq follows the last one's.
	Allocate(ctx context.Context, a *Allocation, done ...Completion) error
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
	Fingerprint uint64   `msgpack:"fp"`             // of the graph
	Parallelism int      `msgpack:"par"`            // default number of shuffle partitions
	Graph       []string `msgpack:"graph"`          // what the fingerprint is of, for people
	Durable     bool     `msgpack:"dur"`            // the log outlives the driver's process
	ModelStore  string   `msgpack:"store"`          // address of the models' versions, "" for none
	StateStore  string   `msgpack:"state"`          // address of the states' checkpoints, "" for none
	Numbers     *Numbers `msgpack:"num,omitempty"`  // nil in logs of earlier versions
	Origin      uint64   `msgpack:"orig,omitempty"` // the first of the jobs that were resumed up to this one, 0 for none
}

// Stored returns the number under which stores keep what is the job's: that of the job
// that it goes on from, if there is one.
func (h *JobHeader) Stored() uint64 {
	if h.Origin != 0 {
		return h.Origin
	}
	return h.Incarnation
}

// Completion says that an output of a batch is done.
type Completion = batchlog.Completion

// BatchDone as a completion's output means all of them.
const BatchDone = batchlog.AllOutputs

// LogState is what a log's entries add up to.
type LogState struct {
	Header     *JobHeader // nil for a log in which no job was started
	Epoch      uint64
	Values     []NamedValue
	Last       *Allocation    // newest allocation, nil before the first
	Past       []*Allocation  // complete ones that batches reach back to, ascending
	Incomplete []PendingBatch // allocations with outputs that aren't done, ascending
}

// First returns the first batch whose allocation is there, or is the next one made.
func (s *LogState) First() uint64 {
	switch {
	case len(s.Past) > 0:
		return s.Past[0].Seq
	case len(s.Incomplete) > 0:
		return s.Incomplete[0].Allocation.Seq
	case s.Last != nil:
		return s.Last.Seq + 1
	}
	return 1
}

// PendingBatch is an allocation whose outputs aren't all done.
type PendingBatch struct {
	Allocation *Allocation
	Done       []int32 // outputs that are done, ascending
}
