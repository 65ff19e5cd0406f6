package engine

import "github.com/hibana-engine/hibana/rdd"

// Coalesce makes n partitions of each batch's by reading neighbours one after the other,
// without a shuffle; never more than there are. See [rdd.RDD.Coalesce].
func (d *DStream[T]) Coalesce(n int) *DStream[T] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[T] { return r.Coalesce(n) })
}

// Repartition spreads the elements of each batch evenly over n partitions, by a shuffle.
// See [rdd.RDD.Repartition].
func (d *DStream[T]) Repartition(n int) *DStream[T] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[T] { return r.Repartition(n) })
}

// Glom makes of each partition of a batch one element, the slice of its elements. See
// [rdd.Glom].
func Glom[T any](d *DStream[T]) *DStream[[]T] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[[]T] { return rdd.Glom(r) })
}

// Sample keeps a random part of the elements of each batch, on executors, another one in
// each. See [rdd.RDD.Sample].
func (d *DStream[T]) Sample(withReplacement bool, fraction float64, seed uint64) *DStream[T] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[T] { return r.Sample(withReplacement, fraction, seed) })
}

// Distinct yields each value once in a batch that has it. See [rdd.Distinct].
func Distinct[T comparable](d *DStream[T], opts ...rdd.ShuffleOption) *DStream[T] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[T] { return rdd.Distinct(r, opts...) })
}

// KeyBy gives each element the key that f returns for it, on executors.
func KeyBy[K comparable, T any](d *DStream[T], f func(T) K) *DStream[rdd.Pair[K, T]] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[rdd.Pair[K, T]] { return rdd.KeyBy(r, f) })
}

// GroupBy gathers the elements of a batch for which f returns the same key. See
// [rdd.GroupBy].
func GroupBy[K comparable, T any](d *DStream[T], f func(T) K, opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, []T]] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[rdd.Pair[K, []T]] { return rdd.GroupBy(r, f, opts...) })
}

// Pipe sends each partition of each batch through a command on executors, as lines. See
// [rdd.Pipe].
func Pipe(d *DStream[string], command []string) *DStream[string] {
	return lift(d, func(r *rdd.RDD[string]) *rdd.RDD[string] { return rdd.Pipe(r, command) })
}
