package rdd

import (
	"iter"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Union yields the elements of r, then those of the others: their partitions
// follow each other. If all have equal partitioners, partitions of the same number
// become one, and the partitioner is kept.
func (r *RDD[T]) Union(others ...*RDD[T]) *RDD[T] {
	o := r.sc.op("union")
	all := []*RDD[T]{r}
	for i, other := range others {
		all = append(all, within(o, i+1, other))
	}
	if p := commonPartitioner(all); p != nil {
		return mergedUnion(o, p, all)
	}
	var deps []lineage.Dependency
	partitions := 0
	for _, r := range all {
		deps = append(deps, lineage.NarrowDependency{Parent: r.node, Map: lineage.Shifted{First: partitions, Count: r.node.Partitions}})
		partitions += r.node.Partitions
	}
	return made(o, partitions, deps, func(tc *task.Context, p int) iter.Seq2[T, error] {
		for _, r := range all {
			if p < r.node.Partitions {
				return r.Compute(tc, p)
			}
			p -= r.node.Partitions
		}
		return func(func(T, error) bool) {}
	})
}

// commonPartitioner returns the partitioner that all RDDs have, nil if there is none.
func commonPartitioner[T any](all []*RDD[T]) Partitioner {
	first := all[0].node.Partitioner
	for _, r := range all {
		if p := r.node.Partitioner; p == nil || !p.Equal(first) {
			return nil
		}
	}
	return first
}

// mergedUnion makes the union of RDDs that have the same partitioner.
//
//go:noinline
func mergedUnion[T any](o op, p Partitioner, all []*RDD[T]) *RDD[T] {
	var deps []lineage.Dependency
	for _, r := range all {
		deps = append(deps, lineage.NarrowDependency{Parent: r.node})
	}
	out := made(o, p.Partitions(), deps, func(tc *task.Context, p int) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			more := true
			for _, r := range all {
				if r.Compute(tc, p)(func(v T, err error) bool {
					more = yield(v, err) && err == nil
					return more
				}); !more {
					return
				}
			}
		}
	})
	out.node.Partitioner = p
	return out
}
