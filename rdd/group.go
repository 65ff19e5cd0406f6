package rdd

import (
	"iter"

	"github.com/hibana-engine/hibana/rdd/task"
)

// KeyBy gives each element the key that f returns for it, on executors.
func KeyBy[K comparable, T any](r *RDD[T], f func(T) K) *RDD[Pair[K, T]] {
	return keyed(r.sc.op("keyBy", f), r, f)
}

//go:noinline
func keyed[K comparable, T any](o op, r *RDD[T], f func(T) K) *RDD[Pair[K, T]] {
	return narrow(o, r, func(tc *task.Context, p int) iter.Seq2[Pair[K, T], error] {
		in := r.Compute(tc, p)
		return func(yield func(Pair[K, T], error) bool) {
			in(func(v T, err error) bool { return !ends(yield, err) && yield(Pair[K, T]{f(v), v}, nil) })
		}
	})
}

// GroupBy gathers the elements for which f returns the same key, by a shuffle: in the
// order of their partitions and of their places there. f runs on executors, which must
// have room for the groups of a partition. Keys are in the order in which they came.
func GroupBy[K comparable, T any](r *RDD[T], f func(T) K, opts ...ShuffleOption) *RDD[Pair[K, []T]] {
	o := r.sc.op("groupBy", f)
	return groupByKey(o, keyed(o, r, f), opts)
}
