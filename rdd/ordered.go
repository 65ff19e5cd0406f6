package rdd

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// TakeOrdered returns the n smallest elements, in ascending order, or all if there are
// fewer. See [TakeOrderedFunc].
func TakeOrdered[T cmp.Ordered](r *RDD[T], n int) ([]T, error) {
	o, err := begin(r, "takeOrdered")
	return takeOrdered(o, err, r, n, cmp.Compare[T])
}

// TakeOrderedFunc returns the first n elements in the order of compare, which is as for
// [slices.SortFunc]; of equal ones those that come first, in their order. They are
// chosen on executors; each partition sends n at most, and the driver merges them.
func TakeOrderedFunc[T any](r *RDD[T], n int, compare func(a, b T) int) ([]T, error) {
	o, err := begin(r, "takeOrdered", compare)
	return takeOrdered(o, err, r, n, compare)
}

// Top returns the n largest elements, in descending order, or all if there are fewer. See
// [TopFunc].
func Top[T cmp.Ordered](r *RDD[T], n int) ([]T, error) {
	o, err := begin(r, "top")
	return takeOrdered(o, err, r, n, reversed(cmp.Compare[T]))
}

// TopFunc is [TakeOrderedFunc] in the opposite order: it returns the n largest elements,
// the largest first; of equal ones those that come first, in their order.
func TopFunc[T any](r *RDD[T], n int, compare func(a, b T) int) ([]T, error) {
	o, err := begin(r, "top", compare)
	return takeOrdered(o, err, r, n, reversed(compare))
}

func reversed[T any](compare func(a, b T) int) func(a, b T) int {
	return func(a, b T) int { return compare(b, a) }
}

// takeOrdered returns the first n elements in an order, unless the action couldn't begin.
func takeOrdered[T any](o op, err error, r *RDD[T], n int, compare func(a, b T) int) ([]T, error) {
	if err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, o.error(fmt.Errorf("%w, not %d", ErrLimit, n))
	}
	if n == 0 {
		return nil, nil
	}
	codec, err := encoding.For[T]()
	if err != nil {
		return nil, o.error(err)
	}
	limit := r.sc.maxResultBytes()
	results, err := r.sc.run(o.action(r.node, func(tc *task.Context, p int) ([]byte, error) {
		rows, err := firstOf(r.Compute(tc, p), n, compare)
		if err != nil {
			return nil, err
		}
		var out []byte
		for _, v := range rows {
			if out, err = codec.Append(out, v); err != nil {
				return nil, o.error(err)
			}
			if len(out) > limit {
				return nil, tooLarge(r.node, p, limit)
			}
		}
		return out, nil
	}))
	if err != nil {
		return nil, err
	}
	rows, err := DecodeRows(codec, results)
	if err != nil {
		return nil, err
	}
	err = o.onDriver(func() error {
		slices.SortStableFunc(rows, compare)
		return nil
	})
	return rows[:min(n, len(rows))], err
}

// minSpare is how many elements more than it needs firstOf collects at least before it
// sorts them.
const minSpare = 64

// firstOf returns the first n elements of a sequence in an order, sorted. It holds twice as
// many at most, or some more than n.
func firstOf[T any](in iter.Seq2[T, error], n int, compare func(a, b T) int) (rows []T, failed error) {
	cut := func() {
		slices.SortStableFunc(rows, compare)
		clear(rows[min(n, len(rows)):])
		rows = rows[:min(n, len(rows))]
	}
	isCut := false
	in(func(v T, err error) bool {
		if err != nil {
			failed = err
			return false
		}
		if isCut && compare(v, rows[n-1]) >= 0 {
			return true // n come before it
		}
		rows = append(rows, v)
		if len(rows)-n >= max(n, minSpare) {
			cut()
			isCut = true
		}
		return true
	})
	if failed != nil {
		return nil, failed
	}
	cut()
	return rows, nil
}

// Max returns the largest element, NaN if that is one of them, as [slices.Max] does. It is
// found as [Reduce] does, whose errors it returns: without elements [ErrEmpty].
func Max[T cmp.Ordered](r *RDD[T]) (T, error) {
	o, err := begin(r, "max")
	return reduce(o, err, r, func(a, b T) T { return max(a, b) })
}

// Min returns the smallest element, NaN if that is one of them, as [slices.Min] does. It
// is found as [Reduce] does, whose errors it returns: without elements [ErrEmpty].
func Min[T cmp.Ordered](r *RDD[T]) (T, error) {
	o, err := begin(r, "min")
	return reduce(o, err, r, func(a, b T) T { return min(a, b) })
}

// MaxFunc is [Max] in the order of compare; of equal elements it returns the first.
func MaxFunc[T any](r *RDD[T], compare func(a, b T) int) (T, error) {
	o, err := begin(r, "max", compare)
	return reduce(o, err, r, func(a, b T) T {
		if compare(b, a) > 0 {
			return b
		}
		return a
	})
}

// MinFunc is [Min] in the order of compare; of equal elements it returns the first.
func MinFunc[T any](r *RDD[T], compare func(a, b T) int) (T, error) {
	o, err := begin(r, "min", compare)
	return reduce(o, err, r, func(a, b T) T {
		if compare(b, a) < 0 {
			return b
		}
		return a
	})
}
