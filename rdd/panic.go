package rdd

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// Guard runs a task's work on the given final node and turns a panic of the
// user's code into a [*PanicError] that names the operator.
func Guard(final *Node, work func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			op, site := blame(final)
			err = &PanicError{Op: op, Site: site, Value: fmt.Sprint(v), Place: panicPlace(), Stack: string(debug.Stack())}
		}
	}()
	return work()
}

// blame finds the operator whose function is the innermost on the panicking
// stack. It is called while the stack still stands.
func blame(final *Node) (op string, site Site) {
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
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		for name, n := range owners {
			if f.Function == name || strings.HasPrefix(f.Function, name+".func") {
				return n.Op, n.Site
			}
		}
		if !more {
			return "", Site{}
		}
	}
}

// panicPlace says where the code panicked and, if that is deeper than the user's
// program, where this was. It is called while the stack still stands.
func panicPlace() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	place, panicked := "", false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicked, place = true, "" // a panic while panicking begins anew
		case !panicked || strings.HasPrefix(f.Function, "runtime."):
		case place == "":
			place = fmt.Sprintf("at %s", Site{shortPath(f.File), f.Line})
			if !engineFrame(f) {
				return place
			}
		case !engineFrame(f):
			return fmt.Sprintf("%s, called at %s", place, Site{shortPath(f.File), f.Line})
		}
		if !more {
			return place
		}
	}
}
