package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// Outcome is how an attempt of a task ended: [Success], [ExceptionFailure],
// [FetchFailed], [BlockMissing], [ExecutorLost], [TaskKilled] or [Denied]. Outcomes are data
// that travels from executors to the driver.
type Outcome interface {
	// CountsAgainst reports whether the outcome counts against the task's limit
	// of failures: only what the task itself may have caused does.
	CountsAgainst() bool
	// Reason says in a sentence how the attempt ended.
	Reason() string
}

// Success is an attempt that did its work.
type Success struct {
	// Result is what the action returned, for a task of a result stage.
	Result []byte `msgpack:"r,omitempty"`
	// Map describes the blocks left behind, for a task of a map stage.
	Map *MapStatus `msgpack:"m,omitempty"`
	// Stored are the cached partitions that the executor has stored and dropped since it
	// said so last, whosever they are. Whoever reports the outcome fills it in, in the
	// order in which outcomes are reported.
	Stored []StoredBlock `msgpack:"c,omitempty"`
	// Freed is for how long the task had no slot when it ended: it had freed it and waited.
	// Whoever reports the outcome fills it in.
	Freed   time.Duration `msgpack:"f,omitempty"`
	Metrics task.Metrics  `msgpack:"x"`
	// Updates are what the task added to accumulators, at most [task.MaxUpdateBytes].
	Updates []task.Update `msgpack:"u,omitempty"`
	// Notes are what the executor has to tell the driver, whosever task it is.
	Notes [][]byte `msgpack:"n,omitempty"`
}

// MapStatus describes what a map task left behind on its executor.
type MapStatus struct {
	// Bytes holds the encoded size of the blocks for each reduce partition.
	Bytes []int64 `msgpack:"b"`
	// Small are all the blocks in the order of the reduce partitions, if they are few
	// bytes, for readers in other processes.
	Small []byte `msgpack:"d,omitempty"`
}

// ExceptionFailure is an attempt that failed by its own work: an error that an
// operator, a source or a sink returned, or a panic of the user's code.
type ExceptionFailure struct {
	Message string       `msgpack:"m"`           // the cause, in one or a few lines
	Op      string       `msgpack:"o,omitempty"` // operator, "" if it can't be told
	Site    lineage.Site `msgpack:"s"`           // where the program called the operator
	Stack   string       `msgpack:"k,omitempty"` // of a panic
	// NoFault says that the machinery failed, not the task, so that the failure
	// doesn't count against it.
	NoFault bool `msgpack:"n,omitempty"`
	// Permanent says that another attempt would fail alike, unless what it reads is
	// indeterminate.
	Permanent bool `msgpack:"p,omitempty"`
	// Err is the error itself, where the task ran in the driver's process; it doesn't
	// travel.
	Err error `msgpack:"-"`
}

// FetchFailed is an attempt that couldn't read a map task's output.
type FetchFailed struct {
	Shuffle      int32  `msgpack:"s"`
	MapPartition int32  `msgpack:"p"` // whose output is lost, -1 for all of the executor's
	Executor     string `msgpack:"e"` // where the output should have been
	Message      string `msgpack:"m"`
}

// BlockMissing is an attempt that needed cached partitions which aren't there, and
// couldn't compute them, since it wasn't given what they are made from.
type BlockMissing struct {
	// Blocks are those that it missed; none means any that its stage reads.
	Blocks   []task.Block `msgpack:"b,omitempty"`
	Executor string       `msgpack:"e,omitempty"` // where they should be, "" for where the attempt ran
	Message  string       `msgpack:"m"`
}

// ExecutorLost is an attempt whose executor is gone.
type ExecutorLost struct {
	Executor string `msgpack:"e"`
	Message  string `msgpack:"m"`
	// ByTask says that a task made the executor die, so that it counts.
	ByTask bool `msgpack:"t,omitempty"`
	// LastWords is what its process wrote last, "" if it wrote nothing.
	LastWords string `msgpack:"w,omitempty"`
}

// TaskKilled is an attempt that ended because it was told to.
type TaskKilled struct {
	Message string `msgpack:"m"`
}

// Denied is an attempt that was refused the commit of its output, because
// its success would no longer count.
type Denied struct {
	Message string `msgpack:"m"`
}

// CountsAgainst returns false.
func (Success) CountsAgainst() bool { return false }

// CountsAgainst returns true unless the machinery was at fault.
func (e ExceptionFailure) CountsAgainst() bool { return !e.NoFault }

// CountsAgainst returns false: the reader can't help it.
func (FetchFailed) CountsAgainst() bool { return false }

// CountsAgainst returns false: nobody promised to keep them.
func (BlockMissing) CountsAgainst() bool { return false }

// CountsAgainst returns whether a task made the executor die.
func (e ExecutorLost) CountsAgainst() bool { return e.ByTask }

// CountsAgainst returns false.
func (TaskKilled) CountsAgainst() bool { return false }

// CountsAgainst returns false.
func (Denied) CountsAgainst() bool { return false }

// Reason returns "succeeded".
func (Success) Reason() string { return "succeeded" }

// Reason returns the cause.
func (e ExceptionFailure) Reason() string { return e.Message }

// Reason says what couldn't be fetched.
func (e FetchFailed) Reason() string { return e.Message }

// Reason says what was missing.
func (e BlockMissing) Reason() string { return e.Message }

// Reason names the executor.
func (e ExecutorLost) Reason() string {
	return fmt.Sprintf("executor %s is lost: %s", e.Executor, e.Message)
}

// Reason says why it was killed.
func (e TaskKilled) Reason() string { return "killed: " + e.Message }

// Reason says why the commit was denied.
func (e Denied) Reason() string { return "commit denied: " + e.Message }

// Failed turns the error of a task into its outcome. ctx is the task's: an error
// after it has ended is a [TaskKilled], whatever it says.
func Failed(ctx context.Context, err error) Outcome {
	if ctx.Err() != nil {
		return TaskKilled{Message: context.Cause(ctx).Error()}
	}
	if errors.Is(err, ErrCommitDenied) {
		return Denied{Message: err.Error()}
	}
	if fetch, ok := errors.AsType[*task.FetchFailedError](err); ok {
		return FetchFailed{int32(fetch.Shuffle), int32(fetch.MapPartition), fetch.Executor, err.Error()}
	}
	if missing, ok := errors.AsType[*BlockMissingError](err); ok {
		return BlockMissing{missing.Blocks, missing.Executor, err.Error()}
	}
	if errors.Is(err, shuffle.ErrNotGiven) {
		missing := BlockMissing{Message: err.Error()}
		if not, ok := errors.AsType[*task.NotFetchedError](err); ok {
			missing.Blocks, missing.Executor = []task.Block{not.Block}, not.Executor
		}
		return missing
	}
	failure := ExceptionFailure{Message: err.Error(), Permanent: isPermanent(err), Err: err}
	if p, ok := errors.AsType[*lineage.PanicError](err); ok {
		failure.Message, failure.Op, failure.Site, failure.Stack = p.Cause(), p.Op, p.Site, p.Stack
	} else if op, ok := errors.AsType[*lineage.OpError](err); ok {
		failure.Message, failure.Op, failure.Site = op.Err.Error(), op.Op, op.Site
	}
	return failure
}

// isPermanent reports whether another attempt of a task would fail alike: its error says
// so, or it declared something, which it will do again.
func isPermanent(err error) bool {
	_, late := errors.AsType[*lineage.FrozenError](err)
	return late || task.IsPermanent(err)
}
