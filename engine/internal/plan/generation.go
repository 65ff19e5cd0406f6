package plan

import (
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

// frozenReason is what a transformation after generation is told.
const frozenReason = "this batch is planned already: declare transformations in the build function or in Transform, not inside an output or a task"

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
		return g.LateError()
	})
	if err != nil {
		return nil, err
	}
	gen.Lineage.Freeze(frozenReason)
	if err := gen.Lineage.Err(); err != nil {
		return nil, fmt.Errorf("generating batch %d: %w", a.Seq, err)
	}
	return gen, nil
}
