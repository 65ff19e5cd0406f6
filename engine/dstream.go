package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// DStream is a discretised stream: one RDD of T for each batch (Zaharia et al.,
// "Discretized Streams", SOSP 2013). It is declared in the build function.
// What changes the element type is a function ([Map]), what keeps it is a
// method ([DStream.Filter]).
type DStream[T any] struct {
	ssc  *StreamingContext
	node *plan.Stream
	make func(g *plan.Generation) *rdd.RDD[T]
	name string // see Named
}

// Batch is one micro-batch, as outputs and Transform see it.
type Batch struct {
	Seq  uint64    // counts from 1 without gaps; the same at every attempt, so outputs can use it as an idempotence key
	Time time.Time // the end of its interval

	alloc *plan.Allocation
	in    *transforming // nil outside of Transform
}

// transforming is the generation of a batch in which a function of Transform makes an RDD.
type transforming struct {
	*plan.Generation
	ssc    *StreamingContext
	stream int32 // that the function makes
}

// batchOf returns the batch of an allocation.
func batchOf(a *plan.Allocation) Batch { return Batch{Seq: a.Seq, Time: a.Time(), alloc: a} }

// transformed returns the batch that the function of Transform is given which makes a stream.
func transformed(ssc *StreamingContext, g *plan.Generation, stream *plan.Stream) Batch {
	b := batchOf(g.Alloc)
	b.in = &transforming{g, ssc, stream.ID}
	return b
}

// RDDs returns the context in which Transform's function makes RDDs of its own, such as
// those of [rdd.Parallelize], to join them with the batch's. It is nil elsewhere.
func (b Batch) RDDs() *rdd.Context {
	if b.in == nil {
		return nil
	}
	return b.in.RDDs
}

// Job returns the incarnation of the job that has planned the batch: it is the same when
// the job goes on after a failure, and another one for every new submission. What a job
// left unfinished has its number also where another one resumes it.
func (b Batch) Job() uint64 {
	if b.alloc == nil {
		return 0
	}
	return b.alloc.Incarnation
}

// Context returns the context in which the stream was declared.
func (d *DStream[T]) Context() *StreamingContext { return d.ssc }

// at returns the stream's RDD of a batch being generated, or of an earlier one that it
// reaches back to. The stream has one in that batch.
func (d *DStream[T]) at(g *plan.Generation) *rdd.RDD[T] {
	return d.memo(g, func() *rdd.RDD[T] { return d.make(g) })
}

// memo returns the stream's RDD of g's batch, which is made the first time.
func (d *DStream[T]) memo(g *plan.Generation, make func() *rdd.RDD[T]) *rdd.RDD[T] {
	if r, ok := g.Memo[d.node.ID]; ok {
		return r.(*rdd.RDD[T])
	}
	var r *rdd.RDD[T]
	g.Lineage.In(g.Alloc.Seq, d.node.ID, d.node.InnerSite, func() {
		if r = make(); d.node.Cached {
			r.Persist(d.node.Level)
		}
	}, d.node.Symbols()...)
	g.Memo[d.node.ID] = r
	return r
}

// asParent returns the stream as what is declared on it sees it.
func (d *DStream[T]) asParent() plan.Parent { return plan.Parent{ID: d.node.ID, Name: d.name} }

// derive declares a stream whose RDD is made from its parent's. functions are the
// user's.
func derive[T, U any](d *DStream[T], op string, f func(g *plan.Generation, r *rdd.RDD[T]) *rdd.RDD[U], functions ...any) *DStream[U] {
	return &DStream[U]{
		ssc:  d.ssc,
		node: d.ssc.program.Graph.AddStream(plan.Declared(op, functions...), d.asParent()),
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
	out := Derive(d, "transform", f)
	out.node.InnerSite = lineage.Site{} // the operators that f calls have places of their own
	return out
}

// Derive is Transform under an operator name of its own: what packages such as
// ml make operators of. f must depend on its arguments alone. functions are the
// functions of the user that f makes use of: with f they tell the operator from
// others.
func Derive[T, U any](d *DStream[T], op string, f func(b Batch, r *rdd.RDD[T]) *rdd.RDD[U], functions ...any) *DStream[U] {
	var out *DStream[U]
	out = derive(d, op, func(g *plan.Generation, r *rdd.RDD[T]) *rdd.RDD[U] {
		return ofBatch(g, out.node, f(transformed(d.ssc, g, out.node), r))
	}, append(functions, f)...)
	out.node.Slices = true
	return out
}

// ofBatch returns the RDD that a function of Transform made, if it is one of the
// batch that is generated; else it records an error.
func ofBatch[T any](g *plan.Generation, n *plan.Stream, r *rdd.RDD[T]) *rdd.RDD[T] {
	var wrong error
	switch {
	case r == nil || r.Node() == nil:
		wrong = fmt.Errorf("%w: return one made of the RDD that the function is given", rdd.ErrNil)
	case r.Context() != g.RDDs:
		wrong = fmt.Errorf("%w: the function returned an RDD that isn't of batch %d; make it of the RDD that the function is given and keep none from batch to batch", rdd.ErrForeign, g.Alloc.Seq)
	default:
		return r
	}
	g.Lineage.Fail(&rdd.OpError{Op: n.Op, Site: n.Site, Err: wrong})
	return rdd.Source[T](g.RDDs, n.Op, n.Site, 0, nil) // so that the program can be read to its end
}

// Cache keeps each batch's computed partitions in the executors' memory until
// the batch is complete. A stream with more than one output wants it, or each
// output computes it anew, as it does where the memory doesn't suffice.
func (d *DStream[T]) Cache() *DStream[T] { return d.keep("cache", rdd.MemoryOnly) }

// Persist is Cache at a storage level. See [rdd.RDD.Persist].
func (d *DStream[T]) Persist(level rdd.StorageLevel) *DStream[T] { return d.keep("persist", level) }

func (d *DStream[T]) keep(op string, level rdd.StorageLevel) *DStream[T] {
	if !d.ssc.program.Open(op) {
		return d
	}
	if err := rdd.CheckLevel[T](level); err != nil {
		d.ssc.fail(op, err)
	}
	d.node.Cached, d.node.Level = true, level
	return d
}

// Named names the stream and returns it under that name: what is declared on what
// is returned is told apart by the name. Operators that a loop declares with one
// function need it, since a loop may run in another order in another process, as a
// range over a map does. A name is no part of what a checkpoint must have in
// common with the program.
func (d *DStream[T]) Named(name string) *DStream[T] {
	if !d.ssc.program.Open("named") {
		return d
	}
	if name == "" {
		d.ssc.fail("named", errNoName)
	}
	if !slices.Contains(d.node.Names, name) {
		d.node.Names = append(d.node.Names, name)
	}
	named := *d
	named.name = name
	return &named
}
