package rdd

import (
	"context"
	"iter"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Part is a partition as a function on executors sees it.
type Part struct {
	Index   int    // of the partition, from 0
	Attempt int    // of the task, from 0: a failed one is tried again
	Batch   uint64 // sequence number of the micro-batch that the RDD is of, 0 outside streams

	tc *task.Context
}

// Context returns a context that ends when the task is killed.
func (p Part) Context() context.Context { return p.tc }

// Task returns what the task sees of the process that runs it, for connectors and others
// that keep something there from task to task.
func (p Part) Task() *task.Context { return p.tc }

// PartOf returns the partition that a task sees, for connectors.
func PartOf(tc *task.Context) Part {
	return Part{Index: tc.Partition, Attempt: tc.Attempt, Batch: tc.Batch, tc: tc}
}

// partOf returns the partition of r that a task reads. A batch that reaches back makes
// RDDs of earlier ones again.
func partOf[T any](tc *task.Context, r *RDD[T]) Part {
	p := PartOf(tc)
	p.Batch = r.node.ID.Batch
	return p
}

// MapPartitions applies f to the whole sequence of each partition, on executors; f is
// called for an empty partition too. If the partition can't be read to its end, the
// sequence ends early, nothing more of what f yields is taken, and the task fails.
func MapPartitions[T, U any](r *RDD[T], f func(p Part, in iter.Seq[T]) iter.Seq[U]) *RDD[U] {
	return narrow(r.sc.op("mapPartitions", f), r, func(tc *task.Context, p int) iter.Seq2[U, error] {
		return func(yield func(U, error) bool) {
			rows, failed := kept(tc, r.Compute(tc, p))
			for u := range f(partOf(tc, r), values(rows)) {
				if *failed != nil {
					break
				}
				if !yield(u, nil) {
					return
				}
			}
			ends(yield, *failed)
		}
	})
}

// values yields the elements before a sequence's error.
func values[T any](in iter.Seq2[T, error]) iter.Seq[T] {
	return func(yield func(T) bool) {
		in(func(v T, err error) bool { return err == nil && yield(v) })
	}
}

// TryMapPartitions is MapPartitions for a function that may fail. Its sequences yield
// an error as their last element: that of in says that the partition can't be read to
// its end and must be passed on or ends the task all the same.
func TryMapPartitions[T, U any](r *RDD[T], f func(p Part, in iter.Seq2[T, error]) iter.Seq2[U, error]) *RDD[U] {
	o := r.sc.op("tryMapPartitions", f)
	return narrow(o, r, func(tc *task.Context, p int) iter.Seq2[U, error] {
		return watched(tc, o, r.Compute(tc, p), func(in iter.Seq2[T, error]) iter.Seq2[U, error] { return f(partOf(tc, r), in) })
	})
}

// watched runs f over in and yields in's error last if f swallowed it: a
// partition that couldn't be read must never look like a shorter one. An error of f's
// own is the operator's.
//
//go:noinline
func watched[T, U any](tc *task.Context, o op, in iter.Seq2[T, error], f func(iter.Seq2[T, error]) iter.Seq2[U, error]) iter.Seq2[U, error] {
	return func(yield func(U, error) bool) {
		rows, failed := kept(tc, in)
		for v, err := range f(rows) {
			if err != nil && *failed == nil {
				err = lineage.Attributed(err, o.name, o.site)
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
func kept[T any](tc *task.Context, in iter.Seq2[T, error]) (iter.Seq2[T, error], *error) {
	failed := new(error)
	return func(yield func(T, error) bool) {
		ended := false
		defer func() {
			if !ended {
				lineage.NotePanic(tc)
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
