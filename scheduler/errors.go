package scheduler

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Errors of this package, for errors.Is.
var (
	// ErrClosed: the scheduler was closed.
	ErrClosed = errors.New("the scheduler is closed")
	// ErrForgotten: the job's batch was forgotten before the job was done.
	ErrForgotten = errors.New("the batch was forgotten")
	// ErrDuplicateJob: the batch has a job for this output already.
	ErrDuplicateJob = errors.New("the output's job was submitted before")
	// ErrCommitDenied: the driver doesn't let an attempt commit its output, since its
	// success wouldn't count any more.
	ErrCommitDenied = errors.New("the output may not be committed: the attempt's success would no longer count")
)

// BlockMissingError says that a task needs cached partitions which aren't there. It
// is the scheduler's cue to compute them, never the task's fault: see [BlockMissing].
type BlockMissingError struct {
	Blocks   []task.Block // none means any that the task's stage reads
	Executor string       // where they should be, "" for where the task runs
	Err      error
}

// Error names the first of them.
func (e *BlockMissingError) Error() string {
	what := "cached partitions"
	if len(e.Blocks) > 0 {
		what = fmt.Sprintf("cached partition %d of RDD %s", e.Blocks[0].Partition, rddOf(e.Blocks[0]))
	}
	if len(e.Blocks) > 1 {
		what += fmt.Sprintf(" and %d more", len(e.Blocks)-1)
	}
	if e.Executor != "" {
		what += " on executor " + e.Executor
	}
	return fmt.Sprintf("reading %s: %v", what, e.Err)
}

// Unwrap returns the cause.
func (e *BlockMissingError) Unwrap() error { return e.Err }

// JobError says why a job failed, in the words of the user's program.
type JobError struct {
	Batch     uint64
	Output    int
	Stage     int32 // see TaskID
	Partition int   // -1 if no single task is to blame
	Attempts  int   // how often the task was tried
	Executor  string
	Op        string       // operator, "" if it can't be told
	Site      lineage.Site // where the program called the operator
	Message   string       // the last cause
	Stack     string       // of a panic, or what a process wrote last that died; may be ""
	Err       error        // the last cause itself, if the task ran in this process; nil else
}

// Unwrap returns the last cause, if the task ran in this process.
func (e *JobError) Unwrap() error { return e.Err }

// Error gives operator and place, task, attempts and cause; then, on lines of its
// own, the stack.
func (e *JobError) Error() string {
	var b strings.Builder
	if e.Op != "" {
		fmt.Fprintf(&b, "%s at %s: ", e.Op, e.Site)
	}
	b.WriteString(e.Message)
	fmt.Fprintf(&b, " (%s, %s", jobName(e.Batch, e.Output), stageName(e.Batch, e.Stage))
	if e.Partition >= 0 {
		fmt.Fprintf(&b, ", partition %d, %s", e.Partition, attempts(e.Attempts))
	}
	if e.Executor != "" {
		fmt.Fprintf(&b, ", executor %s", e.Executor)
	}
	b.WriteByte(')')
	if e.Stack != "" {
		b.WriteString("\n" + e.Stack)
	}
	return b.String()
}

func attempts(n int) string {
	if n == 1 {
		return "1 attempt"
	}
	return fmt.Sprintf("%d attempts", n)
}
