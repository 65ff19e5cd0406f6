package engine

import (
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
)

// DStream is a discretised stream: one RDD of T for each batch (Zaharia et al.,
// "Discretized Streams", SOSP 2013). It is declared in the build function.
// What changes the element type is a function ([Map]), what keeps it is a
// method ([DStream.Filter]).
type DStream[T any] struct {
	ssc  *StreamingContext
	node *plan.Stream
	make func(g *plan.Generation) *rdd.RDD[T]
}

// Batch is one micro-batch, as outputs and Transform see it.
type Batch struct {
	Seq  uint64    // counts from 1 without gaps; the same at every attempt, so outputs can use it as an idempotence key
	Time time.Time // the end of its interval

	alloc *plan.Allocation
}

// batchOf returns the batch of an allocation.
func batchOf(a *plan.Allocation) Batch { return Batch{Seq: a.Seq, Time: a.Time(), alloc: a} }

// Job returns the incarnation of the batch's job: it is the same when the job
// goes on after a failure, and another one for every new submission.
func (b Batch) Job() uint64 {
	if b.alloc == nil {
		return 0
	}
	return b.alloc.Incarnation
}

// Context returns the context in which the stream was declared.
func (d *DStream[T]) Context() *StreamingContext { return d.ssc }

// at returns the stream's RDD of the batch being generated.
func (d *DStream[T]) at(g *plan.Generation) *rdd.RDD[T] {
	if r, ok := g.Memo[d.node.ID]; ok {
		return r.(*rdd.RDD[T])
	}
	var r *rdd.RDD[T]
	g.Lineage.In(d.node.ID, d.node.InnerSite, func() { r = d.make(g) })
	g.Memo[d.node.ID] = r
	return r
}

// derive declares a stream whose RDD is made from its parent's.
func derive[T, U any](d *DStream[T], op string, f func(g *plan.Generation, r *rdd.RDD[T]) *rdd.RDD[U]) *DStream[U] {
	return &DStream[U]{
		ssc:  d.ssc,
		node: d.ssc.program.Graph.AddStream(op, rdd.Caller(), d.node.ID),
		make: func(g *plan.Generation) *rdd.RDD[U] { return f(g, d.at(g)) },
	}
}

// Transform declares a stream whose RDD f makes from d's. f runs in every
// process when a batch is generated and must depend on its arguments alone: no
// time, no randomness, no effects. What must come from the driver comes through
// [PerBatch].
func Transform[T, U any](d *DStream[T], f func(b Batch, r *rdd.RDD[T]) *rdd.RDD[U]) *DStream[U] {
	if f == nil {
		d.ssc.fail("transform", rdd.ErrNilFunction)
	}
	out := derive(d, "transform", func(g *plan.Generation, r *rdd.RDD[T]) *rdd.RDD[U] { return f(batchOf(g.Alloc), r) })
	out.node.InnerSite = rdd.Site{} // the operators that f calls have places of their own
	return out
}

// Derive is Transform under an operator name of its own: what packages such as
// ml make operators of. f must depend on its arguments alone.
func Derive[T, U any](d *DStream[T], op string, f func(b Batch, r *rdd.RDD[T]) *rdd.RDD[U]) *DStream[U] {
	return derive(d, op, func(g *plan.Generation, r *rdd.RDD[T]) *rdd.RDD[U] { return f(batchOf(g.Alloc), r) })
}
