package rdd

import (
	"context"
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
	nodes := make([]*lineage.Node, len(all))
	for i, r := range all {
		nodes[i] = r.node
	}
	if p := commonPartitioner(nodes); p != nil {
		return mergedUnion(o, p, nodes, all)
	}
	partitions, deps := following(nodes)
	return chained(o, partitions, deps, all, func(p int) []piece {
		i := 0
		for ; p >= nodes[i].Partitions; i++ {
			p -= nodes[i].Partitions
		}
		return []piece{{i, p}}
	})
}

// piece is a partition of one of several RDDs.
type piece struct{ rdd, partition int }

// chained makes partitions of those of other RDDs, one after the other. pieces says of
// which a partition is made.
//
//go:noinline
func chained[T any](o op, partitions int, deps []lineage.Dependency, all []*RDD[T], pieces func(partition int) []piece) *RDD[T] {
	return made(o, partitions, deps, func(tc *task.Context, p int) iter.Seq2[T, error] {
		of := pieces(p)
		if len(of) == 1 {
			return all[of[0].rdd].Compute(tc, of[0].partition)
		}
		return func(yield func(T, error) bool) {
			more := true
			for _, from := range of {
				if tc.Err() != nil {
					ends(yield, context.Cause(tc))
					return
				}
				all[from.rdd].Compute(tc, from.partition)(func(v T, err error) bool {
					more = !ends(yield, err) && yield(v, nil)
					return more
				})
				if !more {
					return
				}
			}
		}
	})
}

// commonPartitioner returns the partitioner that all RDDs have, nil if there is none.
func commonPartitioner(all []*lineage.Node) Partitioner {
	first := all[0].Partitioner
	for _, n := range all {
		if p := n.Partitioner; p == nil || !p.Equal(first) {
			return nil
		}
	}
	return first
}

// following returns the dependencies of an operator whose partitions are those of all nodes,
// and how many there are.
func following(all []*lineage.Node) (partitions int, deps []lineage.Dependency) {
	for _, n := range all {
		deps = append(deps, lineage.NarrowDependency{Parent: n, Map: lineage.Shifted{First: partitions, Count: n.Partitions}})
		partitions += n.Partitions
	}
	return partitions, deps
}

// mergedUnion makes the union of RDDs that have the same partitioner.
//
//go:noinline
func mergedUnion[T any](o op, p Partitioner, nodes []*lineage.Node, all []*RDD[T]) *RDD[T] {
	var deps []lineage.Dependency
	for _, n := range nodes {
		deps = append(deps, oneToOne(n)...)
	}
	out := chained(o, p.Partitions(), deps, all, func(p int) []piece {
		of := make([]piece, len(nodes))
		for i := range of {
			of[i] = piece{i, p}
		}
		return of
	})
	out.node.Partitioner = p
	return out
}
