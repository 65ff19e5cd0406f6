package task

import (
	"errors"
	"fmt"
)

// ErrCantSpill: a kept value can't be written, for a reason of its own that won't go away:
// it has to be computed again.
var ErrCantSpill = errors.New("what is kept can't be written to disk")

// FetchFailedError says that a map task's output couldn't be read. It is the
// scheduler's cue to run that map task again, never the reading task's fault.
type FetchFailedError struct {
	Shuffle      int    // id of the shuffle within the batch
	MapPartition int    // whose output is missing, -1 for all of the executor's
	Executor     string // where it should have been
	Err          error
}

// Error says what couldn't be fetched and from where.
func (e *FetchFailedError) Error() string {
	return fmt.Sprintf("fetching output of map task %d of shuffle %d from executor %s: %v", e.MapPartition, e.Shuffle, e.Executor, e.Err)
}

// Unwrap returns the cause.
func (e *FetchFailedError) Unwrap() error { return e.Err }
