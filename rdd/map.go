package rdd

import (
	"context"
	"fmt"
	"iter"
)

// Map applies f to every element, on executors.
func Map[T, U any](r *RDD[T], f func(T) U) *RDD[U] {
	return narrow(r, "map", f, func(tc *TaskContext, p int) iter.Seq2[U, error] {
		in := r.Compute(tc, p)
		return func(yield func(U, error) bool) {
			in(func(v T, err error) bool { return !ends(yield, err) && yield(f(v), nil) })
		}
	})
}

// Filter keeps the elements for which keep is true, on executors. The
// partitioner is kept.
func (r *RDD[T]) Filter(keep func(T) bool) *RDD[T] {
	out := narrow(r, "filter", keep, func(tc *TaskContext, p int) iter.Seq2[T, error] {
		in := r.Compute(tc, p)
		return func(yield func(T, error) bool) {
			in(func(v T, err error) bool { return !ends(yield, err) && (!keep(v) || yield(v, nil)) })
		}
	})
	out.node.Partitioner = r.node.Partitioner
	return out
}

// FlatMap applies f to every element and yields what it returns one by one, on
// executors.
func FlatMap[T, U any](r *RDD[T], f func(T) []U) *RDD[U] {
	return narrow(r, "flatMap", f, func(tc *TaskContext, p int) iter.Seq2[U, error] {
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

// MapPartitions applies f to the whole sequence of each partition, on
// executors; f is called for an empty partition too. An error that comes out of
// the given sequence must be passed on or ends the task all the same.
func MapPartitions[T, U any](r *RDD[T], f func(tc *TaskContext, in iter.Seq2[T, error]) iter.Seq2[U, error]) *RDD[U] {
	var out *RDD[U]
	out = narrow(r, "mapPartitions", f, func(tc *TaskContext, p int) iter.Seq2[U, error] {
		return watched(tc, out.node, r.Compute(tc, p), func(in iter.Seq2[T, error]) iter.Seq2[U, error] { return f(tc, in) })
	})
	return out
}

// watched runs f over in and yields in's error last if f swallowed it: a
// partition that couldn't be read must never look like a shorter one. An error of f's
// own is the node's.
func watched[T, U any](tc *TaskContext, n *Node, in iter.Seq2[T, error], f func(iter.Seq2[T, error]) iter.Seq2[U, error]) iter.Seq2[U, error] {
	return func(yield func(U, error) bool) {
		rows, failed := kept(tc, in)
		for v, err := range f(rows) {
			if err != nil && *failed == nil {
				err = attributed(err, n.Op, n.Site)
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
		ends(yield, *failed)
	}
}

// kept returns a sequence that ends after its first error, and a place where
// that error is found afterwards. Who panicked is found by its name on stacks, which
// it keeps only if it isn't inlined.
//
//go:noinline
func kept[T any](tc *TaskContext, in iter.Seq2[T, error]) (iter.Seq2[T, error], *error) {
	failed := new(error)
	return func(yield func(T, error) bool) {
		ended := false
		defer func() {
			if !ended {
				tc.notePanic()
			}
		}()
		for v, err := range in {
			if err != nil {
				*failed = err
			}
			if !yield(v, err) || err != nil {
				ended = true
				return
			}
		}
		ended = true
	}, failed
}

// Union yields the elements of r, then those of the others: their partitions
// follow each other.
func (r *RDD[T]) Union(others ...*RDD[T]) *RDD[T] {
	l := r.node.lineage
	site := l.site()
	all := append([]*RDD[T]{r}, others...)
	n := &Node{Op: "union", Site: site}
	for i, o := range all {
		if o == nil || o.node == nil {
			l.Fail(&OpError{"union", site, fmt.Errorf("argument %d: %w", i, ErrNil)})
			continue
		}
		if o.node.lineage != l {
			l.Fail(&OpError{"union", site, ErrForeign})
		}
		n.Partitions += o.node.Partitions
		n.Deps = append(n.Deps, NarrowDependency{o.node})
		n.Indeterminate = n.Indeterminate || o.node.Indeterminate
	}
	return &RDD[T]{l.add(n), func(tc *TaskContext, p int) iter.Seq2[T, error] {
		for _, o := range all {
			if p < o.node.Partitions {
				return o.Compute(tc, p)
			}
			p -= o.node.Partitions
		}
		return func(func(T, error) bool) {}
	}}
}
