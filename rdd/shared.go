package rdd

import (
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// shared is a value that a stage of its own makes of an RDD and that every task of a
// later stage reads: how many elements each partition has, the bounds of a sort.
type shared[S any] struct {
	dep  *lineage.ShuffleDependency
	read func(tc *task.Context) (S, error)
}

// share adds two stages: in the first look makes a P of each partition, in the second a
// single task makes the shared value of them, in the order of the partitions.
//
//go:noinline
func share[T, P, S any](o op, r *RDD[T], look func(tc *task.Context, partition int, in iter.Seq2[T, error]) (P, error), make func([]P) (S, error)) shared[S] {
	parts, err := encoding.For[P]()
	o.fail(err)
	values, err := encoding.For[S]()
	o.fail(err)
	gathering := shuffle(o, r.node, singlePartition{}, parts, lineage.ShuffleDependency{Combine: true}, func(tc *task.Context, p int, to *blocks[P]) error {
		v, err := look(tc, p, r.Compute(tc, p))
		if err != nil {
			return err
		}
		return to.add(0, v)
	})
	made := made(o, 1, []lineage.Dependency{gathering.dep}, func(tc *task.Context, p int) iter.Seq2[S, error] {
		return computed(tc, func() ([]S, error) {
			all, err := collect(gathering.read(tc, p))
			if err != nil {
				return nil, err
			}
			v, err := make(all)
			return []S{v}, err
		})
	})
	spreading := shuffle(o, made.node, singlePartition{}, values, lineage.ShuffleDependency{}, func(tc *task.Context, p int, to *blocks[S]) error {
		for v, err := range made.Compute(tc, p) {
			if err == nil {
				err = to.add(0, v)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return shared[S]{spreading.dep, func(tc *task.Context) (v S, err error) {
		for v, err = range spreading.read(tc, 0) {
			break
		}
		return v, err
	}}
}
