package engine

import (
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// TransformWith is [Transform] of two streams, which may have different types: f is given
// the RDDs of both. Both must have their RDDs in the same batches.
func TransformWith[A, B, U any](a *DStream[A], b *DStream[B], f func(batch Batch, a *rdd.RDD[A], b *rdd.RDD[B]) *rdd.RDD[U]) *DStream[U] {
	const op = "transformWith"
	var wrong error
	switch {
	case f == nil:
		wrong = rdd.ErrNilFunction
	case b == nil:
		wrong = fmt.Errorf("%w: the second stream", rdd.ErrNil)
	case b.ssc != a.ssc:
		wrong = fmt.Errorf("%w: the second stream is of another program", rdd.ErrForeign)
	}
	parents := []plan.Parent{a.asParent()}
	if wrong != nil {
		a.ssc.fail(op, wrong)
	} else {
		parents = append(parents, b.asParent())
	}
	node := a.ssc.program.Graph.AddStream(plan.Declared(op, f), parents...)
	node.Slices = true
	node.InnerSite = lineage.Site{} // the operators that f calls have places of their own
	return &DStream[U]{ssc: a.ssc, node: node, make: func(g *plan.Generation) *rdd.RDD[U] {
		return ofBatch(g, node, f(transformed(a.ssc, g, node), a.at(g), b.at(g)))
	}}
}

// Remember has what is cached of all streams kept for so long after its batch, and what
// the batches were made of too, so that a batch can reach back to it. Windows say by
// themselves how far they reach; Remember is for what isn't declared: [DStream.Slice].
func (ssc *StreamingContext) Remember(d time.Duration) {
	if !ssc.program.Open("remember") {
		return
	}
	if d <= 0 {
		ssc.fail("remember", fmt.Errorf("%w: a time of %s can't be remembered", ErrWindow, d))
		return
	}
	ssc.program.Graph.Remembered = max(ssc.program.Graph.Remembered, d)
}
