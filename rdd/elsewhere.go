package rdd

import (
	"context"
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// obtained yields the elements of a partition that isn't kept here: as another executor
// keeps them, or computed. It is computed too if the other one doesn't have it any more, or
// is lost on the way: whole, if restart takes back what it gave. Otherwise that isn't yielded
// again, since an RDD has the same elements in the same order wherever it is computed. What
// may have others, since it is indeterminate, is computed.
func (r *RDD[T]) obtained(tc *task.Context, partition int, restart func() bool) iter.Seq2[T, error] {
	codec := r.stored().codec
	if tc.Elsewhere == nil || codec == nil || r.node.Indeterminate {
		return r.compute(tc, partition)
	}
	frames := tc.Elsewhere.Fetch(tc, r.block(partition))
	if frames == nil {
		return r.compute(tc, partition)
	}
	return func(yield func(T, error) bool) {
		n, err := decodeFrames(tc, codec, frames, yield)
		switch {
		case err == nil:
		case tc.Err() != nil:
			ends(yield, context.Cause(tc))
		case r.onlyKept:
			ends(yield, unread(r.node, err))
		default:
			if restart() {
				n = 0
			}
			r.rest(tc, partition, n, err)(yield)
		}
	}
}

// rest computes a partition and yields what comes after the first n elements, since the
// others couldn't be fetched.
func (r *RDD[T]) rest(tc *task.Context, partition int, n uint64, why error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		r.compute(tc, partition)(func(v T, err error) bool {
			switch {
			case err != nil:
				n = 0
				return yield(v, fmt.Errorf("%w (computed after %w)", err, why))
			case n > 0:
				n--
				return true
			}
			return yield(v, nil)
		})
		if n > 0 {
			ends(yield, fmt.Errorf("computing partition %d after %w: %w", partition, why, ErrChanged))
		}
	}
}

// decodeFrames yields the elements in frames. It returns how many there were; the error is
// that the rest can't be had.
func decodeFrames[T any](tc *task.Context, codec encoding.Codec[T], frames iter.Seq2[[]byte, error], yield func(T, error) bool) (n uint64, err error) {
	for frame, err := range frames {
		if err != nil {
			return n, err
		}
		m, more, err := decodeAll(tc, codec, frame, yield)
		n += m
		switch {
		case err != nil:
			return n, fmt.Errorf("%w: %w", ErrEncoding, err)
		case !more:
			return n, nil
		}
	}
	return n, nil
}
