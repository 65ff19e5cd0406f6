package plan

import (
	"errors"
	"fmt"

	"github.com/hibana-engine/hibana/rdd"
)

// Generation is the making of one batch's RDDs from its allocation.
type Generation struct {
	Alloc   *Allocation
	Lineage *rdd.Lineage
	Memo    map[int32]any // *rdd.RDD[T] by stream id
	Actions []rdd.Action
}

// frozenReason is what a transformation of a batch's RDDs after their generation
// is told.
const frozenReason = "batch %d is planned already: declare transformations in the build function, or in Transform on the RDD that it is given, not inside an output or a task"

// Generate makes the RDDs and the actions of a batch. It depends on the
// program and the allocation alone.
func (g *Graph) Generate(a *Allocation, parallelism int) (*Generation, error) {
	gen := &Generation{
		Alloc:   a,
		Lineage: rdd.NewLineage(a.Seq, parallelism),
		Memo:    make(map[int32]any, len(g.Streams)),
		Actions: make([]rdd.Action, 0, len(g.Outputs)),
	}
	err := Guard(fmt.Sprintf("generating batch %d", a.Seq), func() error {
		for _, o := range g.Outputs {
			gen.Actions = append(gen.Actions, o.Action(gen))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	gen.Lineage.OnLate(g.tooLate)
	gen.Lineage.Freeze(fmt.Sprintf(frozenReason, a.Seq))
	if err := errors.Join(gen.Lineage.Err(), g.LateError()); err != nil {
		return nil, fmt.Errorf("generating batch %d: %w", a.Seq, err)
	}
	return gen, nil
}
