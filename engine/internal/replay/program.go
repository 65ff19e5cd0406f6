package replay

import (
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
)

// ProgramOf returns the copy of the batch program whose context it is; nil for a context
// of another kind.
func ProgramOf(sc *rdd.Context) *plan.Program {
	switch r := sc.Runner().(type) {
	case driverRunner:
		return r.Program
	case copyRunner:
		return r.program
	case noStep:
		return r.program
	}
	return nil
}
