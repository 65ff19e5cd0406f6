package lineage

import (
	"encoding/binary"
	"fmt"
	"path"
	"reflect"
	"runtime"
	"strings"
)

// Site is a place in the user's program.
type Site struct {
	File string // base name with its folder, the same on every machine
	Line int
}

// String returns the site as file:line.
func (s Site) String() string {
	if s.File == "" {
		return "an unknown place"
	}
	return fmt.Sprintf("%s:%d", s.File, s.Line)
}

// Caller returns the innermost frame that isn't the engine's own: where the
// user's program called the operator.
func Caller() Site {
	var pcs [16]uintptr
	for skip := 2; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		frames := runtime.CallersFrames(pcs[:n])
		for {
			f, more := frames.Next()
			if f.Function != "" && !engineFrame(f) {
				return Site{File: shortPath(f.File), Line: f.Line}
			}
			if f.Function == declareFrame {
				return Site{}
			}
			if !more {
				break
			}
		}
		if n < len(pcs) {
			return Site{}
		}
	}
}

// Call is a call of an operator in the user's program. Calls are equal (==) if the
// same calls led to them from the build function: only a loop or a recursion
// makes two of them.
type Call struct {
	Site Site   // where the operator was called
	Via  string // where what calls it was called, and so on; the same in every process
	pcs  string // the stack in this process
}

// maxCallers bounds the stack that tells calls apart.
const maxCallers = 64

// Called returns the call of the operator that calls it.
func Called() Call {
	var pcs [maxCallers]uintptr
	n := runtime.Callers(2, pcs[:])
	frames := runtime.CallersFrames(pcs[:n])
	var sites []string
	var c Call
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if f.Function == declareFrame {
			break // above it every process looks different
		}
		if f.Function == "" || engineFrame(f) {
			continue
		}
		if s := (Site{shortPath(f.File), f.Line}); c.Site == (Site{}) {
			c.Site = s
		} else {
			sites = append(sites, s.String())
		}
	}
	var key []byte
	for _, pc := range pcs[:n] {
		key = binary.AppendUvarint(key, uint64(pc))
	}
	c.Via, c.pcs = strings.Join(sites, ", "), string(key)
	return c
}

// Declare calls f, which declares a program. Below f's frames nothing is the
// program's, so that a place is found in every process or in none: what called the
// engine looks different in each.
//
//go:noinline
func Declare(f func() error) error { return f() }

// declareFrame is how Declare is named in a stack.
const declareFrame = "github.com/hibana-engine/hibana/rdd/lineage.Declare"

// engineFrame reports whether a frame belongs to the engine's module or to the
// standard library. Tests count as users, and so do the programs of the module: what
// is below its folders examples and cmd. The file tells, not the function: a closure
// that was inlined into the user's function bears its name.
func engineFrame(f runtime.Frame) bool {
	if strings.HasSuffix(f.File, "_test.go") {
		return false
	}
	if standard(f) {
		return true
	}
	rest, ok := strings.CutPrefix(f.File, moduleRoot)
	top, _, _ := strings.Cut(rest, "/")
	return ok && top != "examples" && top != "cmd"
}

// Where the engine's and the standard library's source were when they were
// compiled, with a slash at the end; standardRoot is "" in a binary that was
// built with -trimpath.
var (
	moduleRoot   = rootOf("rdd/lineage/site.go", shortPath)
	standardRoot = rootOf("strings/strings.go", strings.Cut)
)

// rootOf returns the directory below which file defines the function f.
func rootOf(file string, f any) string {
	pc := reflect.ValueOf(f).Pointer()
	path, _ := runtime.FuncForPC(pc).FileLine(pc)
	return strings.TrimSuffix(path, file)
}

// standard reports whether a frame is of the standard library.
func standard(f runtime.Frame) bool {
	if standardRoot != "" {
		return strings.HasPrefix(f.File, standardRoot)
	}
	host, _, _ := strings.Cut(f.File, "/")
	return !strings.Contains(host, ".") && !strings.HasPrefix(f.Function, "main.")
}

// shortPath keeps the file and its folder, so that a binary built elsewhere
// has the same sites.
func shortPath(file string) string {
	dir, base := path.Split(strings.ReplaceAll(file, `\`, "/"))
	return path.Join(path.Base(dir), base)
}

// FuncName returns the name of a function value as it appears in stacks, "" if it
// is nil or no function.
func FuncName(f any) string {
	v := reflect.ValueOf(f)
	if v.Kind() != reflect.Func || v.IsNil() {
		return ""
	}
	if fn := runtime.FuncForPC(v.Pointer()); fn != nil {
		return fn.Name()
	}
	return ""
}
