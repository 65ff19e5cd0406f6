package nn

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// Reasons that an [Error] wraps; test with errors.Is.
var (
	// ErrShape says that shapes or element types don't fit each other or the operation.
	ErrShape = errors.New("shapes do not fit")
	// ErrValue says that an argument or an element has a value that is not allowed.
	ErrValue = errors.New("value not allowed")
	// ErrNotFinite says that a NaN or an infinity turned up (see [CheckFinite]).
	ErrNotFinite = errors.New("NaN or Inf")
	// ErrReleased says that a variable was used after its tape's Release.
	ErrReleased = errors.New("variable used after Tape.Release")
	// ErrUninitialized says that a parameter without a shape was used.
	ErrUninitialized = errors.New("parameter has no shape yet")
	// ErrNoTape says that a function that draws random numbers had no tape to draw from.
	ErrNoTape = errors.New("no random source: make the input with Tape.Input")
	// ErrRead says that a forward pass that is recorded to run on other inputs
	// read elements that depend on its input.
	ErrRead = errors.New("the program reads elements that depend on the input, and what it does with them can't be recorded: an if or a loop would stay as it went for the recorded input; compute with functions, and decide on the network's output")
	// ErrNoGradient says that Backward had nothing to start from.
	ErrNoGradient = errors.New("no gradient to start from")
)

// Error is what a failed variable holds.
type Error struct {
	Func  string // the function that failed, as users write it: "Linear"
	Layer string // path of the layer whose parameters it used, "" if none or unnamed
	Site  string // file:line of the call in user code
	Err   error  // the reason; wraps one of the package's sentinel errors
}

// Error formats the failure as "train.go:31: Linear (layer predictor/l1): reason".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Site != "" {
		b.WriteString(e.Site + ": ")
	}
	b.WriteString(e.Func)
	if e.Layer != "" {
		b.WriteString(" (layer " + e.Layer + ")")
	}
	b.WriteString(": " + e.Err.Error())
	return b.String()
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// ShapeErrorf makes an error that wraps [ErrShape]. Operations return it from
// Outputs; the shapes that were given are added by [Apply].
func ShapeErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrShape, fmt.Sprintf(format, args...))
}

// ValueErrorf makes an error that wraps [ErrValue].
func ValueErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrValue, fmt.Sprintf(format, args...))
}

// modulePrefix begins the name of every function of Hibana. Its examples and
// tests are user code.
const modulePrefix = "github.com/hibana-engine/hibana/"

func library(f runtime.Frame) bool {
	rest, ok := strings.CutPrefix(f.Function, modulePrefix)
	return ok && !strings.HasPrefix(rest, "examples/") && !strings.HasSuffix(f.File, "_test.go")
}

// user tells whether a function is neither Hibana's nor what Go's own packages have
// beneath it on a stack: package runtime, and the function that starts a goroutine.
func user(f runtime.Frame) bool {
	inRuntime := strings.HasPrefix(f.Function, "runtime.") && !strings.Contains(f.Function, "/")
	return f.Function != "" && !library(f) && !inRuntime && !strings.HasPrefix(f.Function, "sync.(*WaitGroup).Go.")
}

// CallSite returns file:line (the file's last two path elements) of the
// innermost caller in user code, "" if there is none, as in a goroutine of Hibana's.
// Walking the stack is slow, so it is called only when something failed.
func CallSite() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if user(f) {
			return fmt.Sprintf("%s:%d", shortPath(f.File), f.Line)
		}
		if !more {
			return ""
		}
	}
}

// shortPath keeps the last two elements of a slash-separated path.
func shortPath(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return path
	}
	if j := strings.LastIndexByte(path[:i], '/'); j >= 0 {
		return path[j+1:]
	}
	return path
}
