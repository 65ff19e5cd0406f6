package rdd

import (
	"iter"

	"github.com/hibana-engine/hibana/rdd/task"
)

// TryMap is Map for a function that may fail. What becomes of a record for which f
// returns an error or panics is said by [OnBadRecord]; by default the task fails.
func TryMap[T, U any](r *RDD[T], f func(T) (U, error), opts ...TryOption) *RDD[U] {
	return tried(try[T](r.sc, "tryMap", f, opts), r, f, func(_ *task.Context, _ T, u U, yield func(U, error) bool) bool {
		return yield(u, nil)
	})
}

// TryFilter is Filter for a function that may fail. What becomes of a record for which
// keep returns an error or panics is said by [OnBadRecord]; by default the task fails.
// The partitioner is kept.
func (r *RDD[T]) TryFilter(keep func(T) (bool, error), opts ...TryOption) *RDD[T] {
	out := tried(try[T](r.sc, "tryFilter", keep, opts), r, keep, func(_ *task.Context, v T, ok bool, yield func(T, error) bool) bool {
		return !ok || yield(v, nil)
	})
	return keepingPartitioner(out, r)
}

// TryFlatMap is FlatMap for a function that may fail. What becomes of a record for which
// f returns an error or panics is said by [OnBadRecord]; by default the task fails. Of
// such a record nothing is yielded.
func TryFlatMap[T, U any](r *RDD[T], f func(T) ([]U, error), opts ...TryOption) *RDD[U] {
	return tried(try[T](r.sc, "tryFlatMap", f, opts), r, f, func(tc *task.Context, _ T, us []U, yield func(U, error) bool) bool {
		return each(tc, us, yield)
	})
}

// tried calls f for each element and pass with what it returned, which reports whether
// yield wants more.
//
//go:noinline
func tried[T, R, U any](t trier[T], r *RDD[T], f func(T) (R, error), pass func(tc *task.Context, v T, result R, yield func(U, error) bool) bool) *RDD[U] {
	return narrow(t.op, r, func(tc *task.Context, p int) iter.Seq2[U, error] {
		in := r.Compute(tc, p)
		return func(yield func(U, error) bool) {
			index := int64(-1)
			in(func(v T, err error) bool {
				if ends(yield, err) {
					return false
				}
				index++
				result, err := attempt(f, v)
				if err == nil {
					return pass(tc, v, result, yield)
				}
				return !ends(yield, t.refused(tc, index, v, err))
			})
		}
	})
}
