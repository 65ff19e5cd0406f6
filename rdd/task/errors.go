package task

import (
	"errors"
	"fmt"
)

// ErrCantSpill: a kept value can't be written, for a reason of its own that won't go away:
// it has to be computed again.
var ErrCantSpill = errors.New("what is kept can't be written to disk")

// WriteError says that the local disk didn't take what was to be written there. It isn't
// the fault of what was written, so who can do without goes on.
type WriteError struct{ Err error }

// Error says what was written where, and why it couldn't be.
func (e *WriteError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *WriteError) Unwrap() error { return e.Err }

// IsUnwritten reports whether an error is one of the local disk's.
func IsUnwritten(err error) bool {
	_, is := errors.AsType[*WriteError](err)
	return is
}

// PermanentError says that another attempt of the task would fail alike, since it would
// read the same and do the same: a record that can't be decoded, a limit that is exceeded.
// The scheduler doesn't try the task again, unless what it reads is indeterminate.
type PermanentError struct{ Err error }

// Error returns the error's text.
func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *PermanentError) Unwrap() error { return e.Err }

// Permanent returns err, said to be a [PermanentError]; nil for nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &PermanentError{err}
}

// IsPermanent reports whether an error is a [PermanentError].
func IsPermanent(err error) bool {
	_, is := errors.AsType[*PermanentError](err)
	return is
}

// NotFetchedError says that a kept partition couldn't be read from another executor. The
// task computes it then, if it can.
type NotFetchedError struct {
	Block    Block
	Executor string // that should have it
	Err      error
}

// Error names the executor.
func (e *NotFetchedError) Error() string {
	return fmt.Sprintf("fetching kept partition %d from executor %s: %v", e.Block.Partition, e.Executor, e.Err)
}

// Unwrap returns the cause.
func (e *NotFetchedError) Unwrap() error { return e.Err }

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
