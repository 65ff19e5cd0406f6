package engine

import (
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// lift declares the stream that op, an operator of package rdd, makes of d's RDDs. op
// runs once for each batch, and before that in a dry run: there the operator itself
// says its name, the user's functions and what is wrong with its arguments.
func lift[T, U any](d *DStream[T], op func(r *rdd.RDD[T]) *rdd.RDD[U]) *DStream[U] {
	return liftOf(d.ssc, func(in rdds) *rdd.RDD[U] { return op(of(in, d)) })
}

// liftAll is lift for an operator of d and others.
func liftAll[T, O, U any](d *DStream[T], others []*DStream[O], op func(r *rdd.RDD[T], others []*rdd.RDD[O]) *rdd.RDD[U]) *DStream[U] {
	return liftOf(d.ssc, func(in rdds) *rdd.RDD[U] {
		r := of(in, d)
		made := make([]*rdd.RDD[O], len(others))
		for i, o := range others {
			made[i] = of(in, o)
		}
		return op(r, made)
	})
}

// liftTwo is lift for an operator of two streams of different types.
func liftTwo[A, B, U any](a *DStream[A], b *DStream[B], op func(a *rdd.RDD[A], b *rdd.RDD[B]) *rdd.RDD[U]) *DStream[U] {
	return liftOf(a.ssc, func(in rdds) *rdd.RDD[U] { return op(of(in, a), of(in, b)) })
}

// liftOf is lift for an operator of any streams: op asks for the RDD of each with of.
func liftOf[U any](ssc *StreamingContext, op func(in rdds) *rdd.RDD[U]) *DStream[U] {
	dry := newDryRun(ssc)
	node := dry.declare(op(rdds{dry: dry}).Node())
	return &DStream[U]{ssc: ssc, node: node, make: func(g *plan.Generation) *rdd.RDD[U] { return op(rdds{batch: g}) }}
}

// rdds are the RDDs that an operator is applied to: those of a batch, or in a dry run
// those that stand for the streams.
type rdds struct {
	batch *plan.Generation
	dry   *dryRun
}

// of returns a stream's RDD.
func of[T any](in rdds, d *DStream[T]) *rdd.RDD[T] {
	if in.dry != nil {
		return standIn(in.dry, d)
	}
	return d.at(in.batch)
}

// dryRun is the declaration of one operator: a lineage that is never computed, in
// which RDDs without partitions stand for the streams.
type dryRun struct {
	ssc     *StreamingContext
	rdds    *rdd.Context
	parents []plan.Parent
}

func newDryRun(ssc *StreamingContext) *dryRun {
	return &dryRun{ssc: ssc, rdds: newDryContext(ssc.program.Parallelism)}
}

func newDryContext(parallelism int) *rdd.Context {
	return rdd.NewContext(lineage.NewLineage(0, parallelism), nil)
}

// standIn returns the RDD that stands for a stream: nil for none, and one of another
// lineage for a stream of another program, so that the operator refuses them.
func standIn[T any](dry *dryRun, d *DStream[T]) *rdd.RDD[T] {
	if d == nil {
		return nil
	}
	rdds := dry.rdds
	if d.ssc == dry.ssc {
		dry.parents = append(dry.parents, d.asParent())
	} else {
		rdds = newDryContext(1)
	}
	return rdd.Source[T](rdds, "", lineage.Site{}, 0, nil)
}

// declare declares the operator that made the given node.
func (dry *dryRun) declare(made *lineage.Node) *plan.Stream {
	dry.ssc.program.Failed(dry.rdds.Lineage().Errs())
	return dry.ssc.program.Graph.AddStream(plan.DeclaredAs(made), dry.parents...)
}
