package lineage

import (
	"errors"
	"fmt"

	"github.com/hibana-engine/hibana/rdd/task"
)

// ErrResultTooLarge: the driver would be sent more than its limit.
var ErrResultTooLarge = task.Permanent(errors.New("result is larger than the limit"))

// OpError is an error of one operator of the user's program.
type OpError struct {
	Op   string
	Site Site
	Err  error
}

// Error names the operator and where the program called it.
func (e *OpError) Error() string { return fmt.Sprintf("%s at %s: %v", e.Op, e.Site, e.Err) }

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }

// FrozenError says that something was declared or asked for at the wrong time:
// a transformation when the batch's lineage was already planned, a stream when
// the program was running.
type FrozenError struct {
	Op     string
	Site   Site
	Reason string
}

// Error gives the operator, its place and why it came too late.
func (e *FrozenError) Error() string {
	return fmt.Sprintf("%s at %s: %s", e.Op, e.Site, e.Reason)
}

// PanicError is a panic of the user's code in a task.
type PanicError struct {
	Op    string // operator whose function panicked, "" if it can't be told
	Site  Site   // where the program called that operator
	Value string // what was panicked with
	Err   error  // the same, if it is an error
	Place string // "at file:line", and where the user's program called that if it is elsewhere
	Stack string // the stack from there to the outermost frame of the user's program
}

// Error names the operator; the stack is in the Stack field.
func (e *PanicError) Error() string {
	if e.Op == "" {
		return e.Cause()
	}
	return fmt.Sprintf("%s at %s: %s", e.Op, e.Site, e.Cause())
}

// Unwrap returns the error that the code panicked with, nil if it was no error.
func (e *PanicError) Unwrap() error { return e.Err }

// Cause says what the code panicked with and where.
func (e *PanicError) Cause() string {
	if e.Place == "" {
		return "panic: " + e.Value
	}
	return fmt.Sprintf("panic %s: %s", e.Place, e.Value)
}
