package rdd

import (
	"context"
	"iter"

	"github.com/hibana-engine/hibana/rdd/task"
)

// Map applies f to every element, on executors.
func Map[T, U any](r *RDD[T], f func(T) U) *RDD[U] {
	return narrow(r.sc.op("map", f), r, func(tc *task.Context, p int) iter.Seq2[U, error] {
		in := r.Compute(tc, p)
		return func(yield func(U, error) bool) {
			in(func(v T, err error) bool { return !ends(yield, err) && yield(f(v), nil) })
		}
	})
}

// Filter keeps the elements for which keep is true, on executors. The
// partitioner is kept.
func (r *RDD[T]) Filter(keep func(T) bool) *RDD[T] {
	out := narrow(r.sc.op("filter", keep), r, func(tc *task.Context, p int) iter.Seq2[T, error] {
		in := r.Compute(tc, p)
		return func(yield func(T, error) bool) {
			in(func(v T, err error) bool { return !ends(yield, err) && (!keep(v) || yield(v, nil)) })
		}
	})
	return keepingPartitioner(out, r)
}

// FlatMap applies f to every element and yields what it returns one by one, on
// executors.
func FlatMap[T, U any](r *RDD[T], f func(T) []U) *RDD[U] {
	return narrow(r.sc.op("flatMap", f), r, func(tc *task.Context, p int) iter.Seq2[U, error] {
		in := r.Compute(tc, p)
		return func(yield func(U, error) bool) {
			in(func(v T, err error) bool {
				if ends(yield, err) {
					return false
				}
				for _, u := range f(v) { // as in each, whose call would cost as much as the loop
					if tc.Killed() {
						return !ends(yield, context.Cause(tc))
					}
					if !yield(u, nil) {
						return false
					}
				}
				return true
			})
		}
	})
}

// FlatMapSeq applies f to every element and yields the elements of the sequences that it
// returns, on executors.
func FlatMapSeq[T, U any](r *RDD[T], f func(T) iter.Seq[U]) *RDD[U] {
	return narrow(r.sc.op("flatMapSeq", f), r, func(tc *task.Context, p int) iter.Seq2[U, error] {
		in := r.Compute(tc, p)
		return func(yield func(U, error) bool) {
			in(func(v T, err error) bool {
				if ends(yield, err) {
					return false
				}
				for u := range f(v) {
					if tc.Killed() {
						return !ends(yield, context.Cause(tc))
					}
					if !yield(u, nil) {
						return false
					}
				}
				return true
			})
		}
	})
}
