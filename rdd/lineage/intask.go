package lineage

import "runtime"

// How the functions are named in stacks below which everything is a task.
const (
	runFrame   = "github.com/hibana-engine/hibana/rdd/lineage.Action.GuardedRun"
	writeFrame = "github.com/hibana-engine/hibana/rdd/lineage.(*ShuffleDependency).GuardedWrite"
)

// coroutineFrame is the outermost frame of what iter.Pull reads.
const coroutineFrame = "runtime.corostart"

// InTask reports whether its caller runs in a task rather than in the program, which the
// stack tells. Where iter.Pull has cut that, it is taken to be in a task.
func InTask() bool {
	var pcs [64]uintptr
	for skip := 2; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs[:])
		frames := runtime.CallersFrames(pcs[:n])
		for more := n > 0; more; {
			var f runtime.Frame
			f, more = frames.Next()
			switch f.Function {
			case runFrame, writeFrame, coroutineFrame:
				return true
			case declareFrame:
				return false
			}
		}
		if n < len(pcs) {
			return false
		}
	}
}
