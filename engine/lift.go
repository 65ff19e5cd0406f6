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
	dry := newDryRun(d.ssc)
	node := dry.declare(op(standIn(dry, d)).Node())
	return &DStream[U]{ssc: d.ssc, node: node, make: func(g *plan.Generation) *rdd.RDD[U] { return op(d.at(g)) }}
}

// liftAll is lift for an operator of d and others.
func liftAll[T, O, U any](d *DStream[T], others []*DStream[O], op func(r *rdd.RDD[T], others []*rdd.RDD[O]) *rdd.RDD[U]) *DStream[U] {
	rdds := func(of func(*DStream[O]) *rdd.RDD[O]) []*rdd.RDD[O] {
		made := make([]*rdd.RDD[O], len(others))
		for i, o := range others {
			made[i] = of(o)
		}
		return made
	}
	dry := newDryRun(d.ssc)
	node := dry.declare(op(standIn(dry, d), rdds(func(o *DStream[O]) *rdd.RDD[O] { return standIn(dry, o) })).Node())
	return &DStream[U]{ssc: d.ssc, node: node, make: func(g *plan.Generation) *rdd.RDD[U] {
		return op(d.at(g), rdds(func(o *DStream[O]) *rdd.RDD[O] { return o.at(g) }))
	}}
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
