package lineage

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/rdd/task"
)

// Guard runs a task's work on the given final node and turns a panic of the
// user's code into a [*PanicError] that names the operator.
func Guard(final *Node, f func() error) (err error) { return guard(work{final: final}, f) }

// GuardOwn runs code that is of one operator alone, wherever it is called, such as the
// encoder of its records: a panic is that operator's.
func GuardOwn(n *Node, f func() error) error { return guard(work{end: n}, f) }

// Owner returns of a node what tells whose code is, without what it is computed from.
func (n *Node) Owner() *Node {
	return &Node{ID: n.ID, Op: n.Op, Site: n.Site, Functions: n.Functions}
}

// work is what a task does, for finding who panicked.
type work struct {
	final *Node         // the last of the fused operators
	end   *Node         // whose function or encoder takes what they yield; nil if unknown
	tc    *task.Context // nil if unknown
}

func guard(w work, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			frames := panicFrames()
			if w.tc != nil {
				frames = beforePull(w.tc, frames)
			}
			p := panicError(v, frames)
			p.Op, p.Site = w.blame(frames)
			err = p
		}
	}()
	return f()
}

// NotePanic keeps the stack of a panic that goes through a sequence which the
// user's code reads: if that reads it by iter.Pull, the panic comes out of there on
// another stack. A deferred function calls it.
func NotePanic(tc *task.Context) { tc.Own().Pulled = beforePull(tc, panicFrames()) }

// beforePull returns the frames of a panic with those before them that iter.Pull
// left out.
func beforePull(tc *task.Context, frames []runtime.Frame) []runtime.Frame {
	if len(frames) == 0 || !strings.HasPrefix(frames[0].Function, "iter.Pull") {
		return frames
	}
	return slices.Concat(tc.Own().Pulled, frames)
}

// Recovered returns the panic with the given value that a deferred function has
// just recovered, without an operator.
func Recovered(value any) *PanicError { return panicError(value, panicFrames()) }

func panicError(value any, frames []runtime.Frame) *PanicError {
	err, _ := value.(error)
	return &PanicError{Value: fmt.Sprint(value), Err: err, Place: panicPlace(frames), Stack: stackText(frames)}
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

// encoders begins the names of the functions that encode and decode records.
const encoders = "github.com/hibana-engine/hibana/rdd/encoding."

// blame finds the operator whose function, encoder or decoder is the innermost on
// the panicking stack. Further out are those that yielded the record.
func (w work) blame(frames []runtime.Frame) (op string, site Site) {
	owners, origins := w.operators()
	depth := 0 // how many sequences that the user's code reads it is within
	for i, f := range frames {
		n := owner(owners, f.Function)
		rest, coding := strings.CutPrefix(f.Function, encoders)
		if coding && i+1 < len(frames) && strings.HasPrefix(frames[i+1].Function, encoders) {
			continue // the outermost, which is a codec's method, says whether it decodes
		}
		switch {
		case coding && !strings.Contains(strings.ToLower(rest), "decode"):
			n = w.end
		case coding:
			n = only(origins)
		case strings.Contains(f.Function, ".kept["):
			if strings.Contains(f.Function, "-range") {
				depth++
			} else {
				depth--
			}
		}
		if n == nil && depth < 0 {
			n = only(origins) // further out is who reads what couldn't be read
		}
		if n != nil {
			return n.Op, n.Site
		}
		if coding || depth < 0 {
			break
		}
	}
	return "", Site{}
}

// only returns the node that a list holds, nil unless it holds one.
func only(nodes []*Node) *Node {
	if len(nodes) == 1 {
		return nodes[0]
	}
	return nil
}

// operators returns the operators of the task by the names of their functions, and
// those of them that its records come from: sources, and readers of shuffles.
func (w work) operators() (owners map[string]*Node, origins []*Node) {
	owners = make(map[string]*Node)
	own := func(n *Node) {
		for _, fn := range n.Functions {
			fn = strings.TrimSuffix(fn, "-fm") // a method value's; the stack has the method
			if fn != "" && owners[fn] == nil {
				owners[fn] = n
			}
		}
	}
	if w.end != nil {
		own(w.end)
	}
	seen := make(map[*Node]bool)
	var walk func(n *Node)
	walk = func(n *Node) {
		if seen[n] {
			return
		}
		seen[n] = true
		own(n)
		origin := len(n.Deps) == 0
		for _, d := range n.Deps {
			if _, ok := d.(NarrowDependency); ok {
				walk(d.ParentNode())
			} else {
				origin = true // beside what it reads of other parents
			}
		}
		if origin {
			origins = append(origins, n)
		}
	}
	if w.final != nil {
		walk(w.final)
	}
	return owners, origins
}

// owner returns the operator that a function on the stack belongs to: its own, or
// the one in which it is written.
func owner(owners map[string]*Node, function string) *Node {
	for name := function; name != ""; name = enclosing(name) {
		if n := owners[name]; n != nil {
			return n
		}
	}
	return nil
}

// enclosing returns the function in which a function literal or the body of a range
// over a function is written, "" if it is neither: a.f of a.f.func1, a.f.func1 of
// a.f.func1.2, a.f of a.f-range1.
func enclosing(function string) string {
	rest := strings.TrimRight(function, "0123456789")
	if rest == function {
		return ""
	}
	for _, kind := range []string{"-range", ".func", "."} {
		if outer, ok := strings.CutSuffix(rest, kind); ok {
			return outer
		}
	}
	return ""
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
