package rdd

import (
	"context"
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// obtained yields the elements of a partition that isn't kept here: as another executor
// keeps them, or computed. If the other one doesn't have it any more, or is lost on the way,
// the next that keeps it is asked, if restart takes back what came, and if none sends it, it is
// computed. What can't be taken back isn't yielded again: the rest is computed, since an RDD has
// the same elements in the same order wherever it is computed. What may have others, since it
// is indeterminate, is computed.
func (r *RDD[T]) obtained(tc *task.Context, partition int, restart func() bool) iter.Seq2[T, error] {
	codec := r.stored().codec
	if tc.Elsewhere == nil || codec == nil || r.node.Indeterminate {
		return r.compute(tc, partition)
	}
	frames := tc.Elsewhere.Fetch(tc, r.block(partition), 0)
	if frames == nil {
		return r.compute(tc, partition)
	}
	return func(yield func(T, error) bool) {
		var n uint64  // elements that were yielded
		var why error // that is all
		for i := 1; frames != nil; i++ {
			var err error
			n, err = decodeFrames(tc, codec, frames, yield)
			switch {
			case err == nil:
				return
			case tc.Err() != nil:
				ends(yield, context.Cause(tc))
				return
			case why != nil:
				err = fmt.Errorf("%w; %w", why, err)
			}
			why = err
			if !restart() && n > 0 {
				break
			}
			n, frames = 0, tc.Elsewhere.Fetch(tc, r.block(partition), i)
		}
		if r.onlyKept {
			ends(yield, unread(r.node, why))
			return
		}
		r.rest(tc, partition, n, why)(yield)
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
