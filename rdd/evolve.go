package rdd

import (
	"iter"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Evolve makes the RDD of the versions that follow those of before: next makes the one of
// a partition from the partition's version before and from the records of in, which has
// as many partitions. Without before, nil, next is given none. It is what package engine
// makes keyed states of. The sequence yields an error as its last element if in can't be
// read to its end; next returns it. functions are those of the user that next calls.
func Evolve[V, I any](before *RDD[V], in *RDD[I], op string, next func(p Part, before []V, in iter.Seq2[I, error]) (V, error), functions ...any) *RDD[V] {
	o := in.sc.op(op, functions...)
	var deps []lineage.Dependency
	if before != nil {
		before = beside(o, in.node, within(o, 0, before))
		deps = oneToOne(before.node)
	}
	deps = append(deps, lineage.NarrowDependency{Parent: in.node})
	return made(o, in.node.Partitions, deps, func(tc *task.Context, part int) iter.Seq2[V, error] {
		return func(yield func(V, error) bool) {
			v, err := evolved(tc, part, before, in, next)
			if err != nil {
				err = lineage.Attributed(err, o.name, o.site)
			}
			yield(v, err)
		}
	})
}

// evolved makes the version of one partition.
func evolved[V, I any](tc *task.Context, part int, before *RDD[V], in *RDD[I], next func(p Part, before []V, in iter.Seq2[I, error]) (V, error)) (v V, err error) {
	var versions []V
	if before != nil {
		if versions, err = collect(before.Compute(tc, part)); err != nil {
			return v, err
		}
	}
	rows, failed := kept(tc, in.Compute(tc, part))
	p := PartOf(tc.At(part))
	p.Batch = in.node.ID.Batch
	if v, err = next(p, versions, rows); err == nil {
		err = *failed
	}
	return v, err
}
