package plan

import (
	"fmt"

	"github.com/hibana-engine/hibana/rdd"
)

// Guard runs the user's code on the driver and turns a panic into an error
// that begins with what, if that isn't "".
func Guard(what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = Panicked(what, v)
		}
	}()
	return f()
}

// Panicked returns the error of a panic with v. It is called by the deferred
// function that recovered it.
func Panicked(what string, v any) error { return &panicError{what, rdd.Recovered(v)} }

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
