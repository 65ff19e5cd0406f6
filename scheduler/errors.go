package scheduler

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hibana-engine/hibana/rdd/lineage"
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
	fmt.Fprintf(&b, " (batch %d, output %d, %s", e.Batch, e.Output, stageName(e.Stage))
	if e.Partition >= 0 {
		fmt.Fprintf(&b, ", partition %d, %d attempts", e.Partition, e.Attempts)
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
