package rdd

import (
	"iter"
	"sync/atomic"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// MaxPartitions is how many partitions an RDD can have: one is a task at least.
const MaxPartitions = 1_000_000

// RDD is a lazily computed collection of T in partitions. It is made by a
// source or by a transformation and never changes.
type RDD[T any] struct {
	sc      *Context
	node    *lineage.Node
	compute computeFunc[T]

	storage  atomic.Pointer[storage[T]] // set before the node is cached, and it stays
	onlyKept bool                       // its partitions can't be computed
}

// computeFunc yields the elements of one partition, in a task.
type computeFunc[T any] = func(tc *task.Context, partition int) iter.Seq2[T, error]

// Context returns the context that the RDD belongs to.
func (r *RDD[T]) Context() *Context { return r.sc }

// Node returns the element-free view, nil for no RDD.
func (r *RDD[T]) Node() *lineage.Node {
	if r == nil {
		return nil
	}
	return r.node
}

// NumPartitions returns the number of partitions.
func (r *RDD[T]) NumPartitions() int { return r.node.Partitions }

// Compute runs the fused operators of one partition, in a task. After an error
// the sequence ends.
func (r *RDD[T]) Compute(tc *task.Context, partition int) iter.Seq2[T, error] {
	tc = tc.At(partition)
	if !r.node.Cached() || tc.Cache == nil {
		return r.compute(tc, partition)
	}
	return r.kept(tc, partition)
}

// Indeterminate returns the RDD, declared to be one whose elements, or their order, may
// differ from one attempt to the next. When output that was computed from it is lost,
// all that was computed from that is computed again, rather than joined with what is
// left of the first attempt.
func (r *RDD[T]) Indeterminate() *RDD[T] {
	o := r.sc.op("indeterminate")
	out := made(o, r.node.Partitions, oneToOne(r.node), r.Compute)
	out.node.Indeterminate = true
	out.node.Partitioner = r.node.Partitioner
	return out
}

// oneToOne returns the dependencies of an operator whose partitions each need the same
// partition of one parent.
func oneToOne(parent *lineage.Node) []lineage.Dependency {
	return []lineage.Dependency{lineage.NarrowDependency{Parent: parent}}
}

// narrow makes the RDD of an operator that needs one partition of its parent
// for each of its own.
//
//go:noinline
func narrow[T, U any](o op, r *RDD[T], compute computeFunc[U]) *RDD[U] {
	return made(o, r.node.Partitions, oneToOne(r.node), compute)
}

// keepingPartitioner says that the operator of out changes no key of r.
func keepingPartitioner[T, U any](out *RDD[U], r *RDD[T]) *RDD[U] {
	out.node.Partitioner = r.node.Partitioner
	return out
}

// collect reads a sequence to its end.
func collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	var rows []T
	for v, err := range seq {
		if err != nil {
			return nil, err
		}
		rows = append(rows, v)
	}
	return rows, nil
}
