package rdd

import (
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

// Count yields the number of elements as one element of one partition: each
// partition is counted where it is, and the counts are added up. It yields 0
// for an RDD without elements.
func Count[T any](r *RDD[T]) *RDD[int64] {
	return aggregate(r, "count", nil, func(seq iter.Seq2[T, error]) (int64, bool, error) {
		var n int64
		for _, err := range seq {
			if err != nil {
				return 0, false, err
			}
			n++
		}
		return n, true, nil
	}, add, func() (int64, bool) { return 0, true })
}

// Reduce combines all elements with f, which must be associative, on executors
// and yields the result as one element of one partition; nothing for an RDD
// without elements.
func Reduce[T any](r *RDD[T], f func(T, T) T) *RDD[T] {
	if f == nil {
		r.node.lineage.Fail(&OpError{"reduce", r.node.lineage.site(), ErrNilFunction})
	}
	return aggregate(r, "reduce", []string{FuncName(f)}, func(seq iter.Seq2[T, error]) (acc T, any bool, err error) {
		for v, err := range seq {
			switch {
			case err != nil:
				return acc, false, err
			case any:
				acc = f(acc, v)
			default:
				acc, any = v, true
			}
		}
		return acc, any, nil
	}, f, func() (none T, ok bool) { return none, false })
}

// aggregate folds each partition with fold, which says whether it has a result,
// and joins the results in partition order in a single task. Without any it
// yields what empty returns.
func aggregate[T, U any](r *RDD[T], op string, fns []string, fold func(iter.Seq2[T, error]) (U, bool, error), join func(U, U) U, empty func() (U, bool)) *RDD[U] {
	site := r.node.lineage.site()
	codec, err := encoding.For[U]()
	if err != nil {
		r.node.lineage.Fail(&OpError{op, site, err})
	}
	write := func(tc *TaskContext, p int, w BlockWriter) error {
		v, ok, err := fold(r.Compute(tc, p))
		if err != nil || !ok {
			return err
		}
		block, err := codec.Append(nil, v)
		if err != nil {
			return &OpError{op, site, err}
		}
		return w.WriteBlock(0, block)
	}
	read := func(tc *TaskContext, shuffle, p int) iter.Seq2[U, error] {
		return computed(tc, func() ([]U, error) {
			acc, found := empty()
			for v, err := range readBlocks(tc, codec, shuffle, p) {
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
	}
	return shuffled(r.node, op, site, 1, fns, nil, write, read)
}
