package plan

import (
	"errors"
	"fmt"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// Guard runs the user's code on the driver and turns a panic into an error
// that begins with what, if that isn't "". The code has a goroutine of its own, so
// that it can't end the driver's (runtime.Goexit): that is an error too.
func Guard(what string, f func() error) error {
	h := startHelper()
	defer close(h.calls)
	_, err := h.do(what, f)
	return err
}

// helper is a goroutine that runs the user's code, one function after the other. Who has
// it waits for each; it ends when calls is closed.
type helper struct {
	calls chan func() error
	done  chan error // closed when the goroutine has ended
}

func startHelper() *helper {
	h := &helper{make(chan func() error, 1), make(chan error, 1)}
	go h.help()
	return h
}

// help is the helper's goroutine.
func (h *helper) help() {
	defer close(h.done) // also if the code ends the goroutine
	for f := range h.calls {
		h.done <- f()
	}
}

// do runs a function, as [Guard] says. The helper is of no more use if it isn't there
// afterwards.
func (h *helper) do(what string, f func() error) (there bool, err error) {
	h.calls <- func() error { return inline(what, f, func() {}) }
	if err, there = <-h.done; there {
		return true, err
	}
	if what != "" {
		return false, fmt.Errorf("%s: %w", what, errGoexit)
	}
	return false, errGoexit
}

// inline runs a function on the caller's goroutine and turns a panic into an error. If the
// function ends the goroutine, exits is called while that ends.
func inline(what string, f func() error, exits func()) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			err = Panicked(what, v)
			return
		}
		exits()
	}()
	err = f()
	returned = true
	return err
}

// errGoexit is the error of code that ends its goroutine.
var errGoexit = errors.New("the program's code ended its goroutine (runtime.Goexit, or FailNow of a test)")

// Panicked returns the error of a panic with v. It is called by the deferred
// function that recovered it.
func Panicked(what string, v any) error { return &panicError{what, lineage.Recovered(v)} }

// panicError is a panic of the user's code on the driver.
type panicError struct {
	what string // "" if whoever wraps it says it
	*rdd.PanicError
}

func (e *panicError) Error() string {
	what := e.what
	if what != "" {
		what += ": "
	}
	return fmt.Sprintf("%s%s\n%s", what, e.Cause(), e.Stack)
}
