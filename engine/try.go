package engine

import "github.com/hibana-engine/hibana/rdd"

// TryMap is Map for a function that may fail. What becomes of a record that f refuses is
// said by [rdd.OnBadRecord]; by default the task fails.
func TryMap[T, U any](d *DStream[T], f func(T) (U, error), opts ...rdd.TryOption) *DStream[U] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[U] { return rdd.TryMap(r, f, opts...) })
}

// TryFilter is Filter for a function that may fail. What becomes of a record that keep
// refuses is said by [rdd.OnBadRecord]; by default the task fails.
func (d *DStream[T]) TryFilter(keep func(T) (bool, error), opts ...rdd.TryOption) *DStream[T] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[T] { return r.TryFilter(keep, opts...) })
}

// TryFlatMap is FlatMap for a function that may fail. What becomes of a record that f
// refuses is said by [rdd.OnBadRecord]; by default the task fails.
func TryFlatMap[T, U any](d *DStream[T], f func(T) ([]U, error), opts ...rdd.TryOption) *DStream[U] {
	return lift(d, func(r *rdd.RDD[T]) *rdd.RDD[U] { return rdd.TryFlatMap(r, f, opts...) })
}
