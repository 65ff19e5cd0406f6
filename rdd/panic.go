package rdd

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// Guard runs a task's work on the given final node and turns a panic of the
// user's code into a [*PanicError] that names the operator.
func Guard(final *Node, work func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			frames := panicFrames()
			p := panicError(v, frames)
			p.Op, p.Site = blame(final, frames)
			err = p
		}
	}()
	return work()
}

// Recovered returns the panic with the given value that a deferred function has
// just recovered, without an operator.
func Recovered(value any) *PanicError { return panicError(value, panicFrames()) }

func panicError(value any, frames []runtime.Frame) *PanicError {
	return &PanicError{Value: fmt.Sprint(value), Place: panicPlace(frames), Stack: stackText(frames)}
}

// panicFrames returns the stack from where the code panicked, the innermost frame
// first. A deferred function calls it, while the stack still stands.
func panicFrames() []runtime.Frame {
	var pcs [128]uintptr
	all := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	var frames []runtime.Frame
	panicked := false
	for {
		f, more := all.Next()
		switch {
		case f.Function == "runtime.gopanic":
			if panicked = true; !slices.ContainsFunc(frames, users) {
				frames = nil // the engine handed on an earlier panic
			}
		case panicked && (len(frames) > 0 || !strings.HasPrefix(f.Function, "runtime.")):
			frames = append(frames, f)
		}
		if !more {
			return frames
		}
	}
}

// users reports whether a frame is the user's own.
func users(f runtime.Frame) bool { return !engineFrame(f) }

// blame finds the operator whose function is the innermost on the panicking
// stack.
func blame(final *Node, frames []runtime.Frame) (op string, site Site) {
	owners, seen := map[string]*Node{}, map[*Node]bool{}
	var walk func(n *Node)
	walk = func(n *Node) {
		if seen[n] {
			return
		}
		seen[n] = true
		if n.fn != "" && owners[n.fn] == nil {
			owners[n.fn] = n
		}
		for _, d := range n.Deps {
			walk(d.parent())
		}
	}
	walk(final)
	for _, f := range frames {
		for name, n := range owners {
			if f.Function == name || strings.HasPrefix(f.Function, name+".func") {
				return n.Op, n.Site
			}
		}
	}
	return "", Site{}
}

// panicPlace says where the code panicked and, if that is deeper than the user's
// program, where this was.
func panicPlace(frames []runtime.Frame) string {
	if len(frames) == 0 {
		return ""
	}
	at := func(f runtime.Frame) Site { return Site{shortPath(f.File), f.Line} }
	place := fmt.Sprintf("at %s", at(frames[0]))
	if i := slices.IndexFunc(frames, users); i > 0 {
		return fmt.Sprintf("%s, called at %s", place, at(frames[i]))
	}
	return place
}

// stackText returns a stack for people: two lines for each frame, without what is
// of the engine alone at its end.
func stackText(frames []runtime.Frame) string {
	if i := slices.IndexFunc(frames, func(f runtime.Frame) bool { return f.Function == declareFrame }); i >= 0 {
		frames = frames[:i] // the program's main function is no news
	}
	for i, f := range slices.Backward(frames) {
		if users(f) {
			frames = frames[:i+1]
			break
		}
	}
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
