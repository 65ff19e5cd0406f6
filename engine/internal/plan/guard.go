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
	done := make(chan error, 1)
	go func() {
		returned, err := false, error(nil)
		defer func() {
			switch v := recover(); {
			case v != nil:
				err = Panicked(what, v)
			case !returned:
				err = errGoexit
				if what != "" {
					err = fmt.Errorf("%s: %w", what, err)
				}
			}
			done <- err
		}()
		err = f()
		returned = true
	}()
	return <-done
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
