package rdd

import (
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// The operators of this file make of an RDD one with a single element, or of few: what
// streams have in place of actions. Counted, Reduced and CountedByValue are to
// DStreams' Count, Reduce and CountByValue what Count, Reduce and CountByValue are to
// programs.

// Counted yields the number of elements as one element of one partition: each
// partition is counted where it is, and the counts are added up. It yields 0
// for an RDD without elements.
func Counted[T any](r *RDD[T]) *RDD[int64] {
	return aggregated(r.sc.op("count"), r, func(seq iter.Seq2[T, error]) (int64, bool, error) {
		n, err := countRows(seq)
		return n, true, err
	}, add, func() (int64, bool) { return 0, true })
}

// countRows reads a sequence to its end and returns its length.
func countRows[T any](seq iter.Seq2[T, error]) (n int64, failed error) {
	seq(func(_ T, err error) bool {
		if err != nil {
			failed = err
			return false
		}
		n++
		return true
	})
	return n, failed
}

func add(a, b int64) int64 { return a + b }

// Reduced combines all elements with f, which must be associative, on executors
// and yields the result as one element of one partition; nothing for an RDD
// without elements.
func Reduced[T any](r *RDD[T], f func(T, T) T) *RDD[T] {
	return aggregated(r.sc.op("reduce", f), r, func(seq iter.Seq2[T, error]) (T, bool, error) {
		return reduceRows(seq, f)
	}, f, func() (none T, ok bool) { return none, false })
}

// reduceRows combines the elements of a sequence; ok is false if there are none.
func reduceRows[T any](seq iter.Seq2[T, error], f func(T, T) T) (acc T, ok bool, failed error) {
	seq(func(v T, err error) bool {
		switch {
		case err != nil:
			failed = err
			return false
		case ok:
			acc = f(acc, v)
		default:
			acc, ok = v, true
		}
		return true
	})
	return acc, ok && failed == nil, failed
}

// CountedByValue counts how often each value occurs, on executors, and yields a
// pair for each.
func CountedByValue[T comparable](r *RDD[T], opts ...ShuffleOption) *RDD[Pair[T, int64]] {
	o := r.sc.op("countByValue")
	ones := Map(r, func(v T) Pair[T, int64] { return Pair[T, int64]{v, 1} })
	return combineByKey(o, ones, o.partitioner(opts, ones.node), true, aggregator[int64, int64]{func(n int64) int64 { return n }, add, add})
}

// aggregated folds each partition with fold, which says whether it has a result,
// and joins the results in partition order in a single task. Without any it
// yields what empty returns.
//
//go:noinline
func aggregated[T, U any](o op, r *RDD[T], fold func(iter.Seq2[T, error]) (U, bool, error), join func(U, U) U, empty func() (U, bool)) *RDD[U] {
	codec, err := encoding.For[U]()
	o.fail(err)
	e := shuffle(o, r.node, singlePartition{}, codec, lineage.ShuffleDependency{Combine: true}, func(tc *task.Context, p int, to *blocks[U]) error {
		v, ok, err := fold(r.Compute(tc, p))
		if err != nil || !ok {
			return err
		}
		if err := to.add(0, v); err != nil {
			return o.error(err)
		}
		return nil
	})
	return made(o, 1, []lineage.Dependency{e.dep}, func(tc *task.Context, p int) iter.Seq2[U, error] {
		return computed(tc, func() ([]U, error) {
			acc, found := empty()
			for v, err := range e.read(tc, p) {
				if err != nil {
					return nil, err
				}
				if found {
					acc = join(acc, v)
				} else {
					acc, found = v, true
				}
			}
			if !found {
				return nil, nil
			}
			return []U{acc}, nil
		})
	})
}
