package engine

import (
	"iter"

	"github.com/hibana-engine/hibana/rdd"
)

// Map applies f to every element, on executors.
func Map[T, U any](d *DStream[T], f func(T) U) *DStream[U] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[U] { return rdd.Map(r, f) })
}

// Filter keeps the elements for which keep is true, on executors.
func (d *DStream[T]) Filter(keep func(T) bool) *DStream[T] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[T] { return r.Filter(keep) })
}

// FlatMap applies f to every element and yields what it returns one by one, on
// executors.
func FlatMap[T, U any](d *DStream[T], f func(T) []U) *DStream[U] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[U] { return rdd.FlatMap(r, f) })
}

// FlatMapSeq applies f to every element and yields the elements of the sequences that it
// returns, on executors.
func FlatMapSeq[T, U any](d *DStream[T], f func(T) iter.Seq[U]) *DStream[U] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[U] { return rdd.FlatMapSeq(r, f) })
}

// MapPartitions applies f to the sequence of each partition of each batch, on executors;
// f is called for an empty partition too. See [rdd.MapPartitions].
func MapPartitions[T, U any](d *DStream[T], f func(p rdd.Part, in iter.Seq[T]) iter.Seq[U]) *DStream[U] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[U] { return rdd.MapPartitions(r, f) })
}

// TryMapPartitions is MapPartitions for a function that may fail. See
// [rdd.TryMapPartitions].
func TryMapPartitions[T, U any](d *DStream[T], f func(p rdd.Part, in iter.Seq2[T, error]) iter.Seq2[U, error]) *DStream[U] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[U] { return rdd.TryMapPartitions(r, f) })
}

// Union yields the elements of d and of the others.
func (d *DStream[T]) Union(others ...*DStream[T]) *DStream[T] {
	return liftAll(d, others, func(r *rdd.RDD[T], others []*rdd.RDD[T]) *rdd.RDD[T] { return r.Union(others...) })
}

// ReduceByKey combines the values of each key within a batch with f, which must
// be associative, on executors.
func ReduceByKey[K comparable, V any](d *DStream[rdd.Pair[K, V]], f func(V, V) V, opts ...rdd.ShuffleOption) *DStream[rdd.Pair[K, V]] {
	return lift(d, func(r *rdd.RDD[rdd.Pair[K, V]]) *rdd.RDD[rdd.Pair[K, V]] { return rdd.ReduceByKey(r, f, opts...) })
}

// CountByValue counts how often each value occurs in a batch, on executors.
func CountByValue[T comparable](d *DStream[T], opts ...rdd.ShuffleOption) *DStream[rdd.Pair[T, int64]] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[rdd.Pair[T, int64]] { return rdd.CountedByValue(r, opts...) })
}

// Count yields the number of elements of each batch, 0 for an empty one.
func Count[T any](d *DStream[T]) *DStream[int64] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[int64] { return rdd.Counted(r) })
}

// Reduce combines all elements of a batch with f, which must be associative, on
// executors; an empty batch yields nothing.
func Reduce[T any](d *DStream[T], f func(T, T) T) *DStream[T] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[T] { return rdd.Reduced(r, f) })
}
