package rdd

import (
	"errors"
	"fmt"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// First returns the first element of the first partition that has one. It is an error
// that says [ErrEmpty] if none has. Partitions are computed as for [Take].
func First[T any](r *RDD[T]) (T, error) {
	var none T
	o, err := begin(r, "first")
	if err != nil {
		return none, err
	}
	rows, err := take(o, r, 1)
	if err != nil {
		return none, err
	}
	if len(rows) == 0 {
		return none, o.error(ErrEmpty)
	}
	return rows[0], nil
}

// Take returns the first n elements, in partition order, or all if there are fewer. It
// computes no more partitions than it needs, about: first one, then, as long as elements
// are missing, four times as many as before, in jobs of their own. The elements together
// may have at most the job's driver.maxResultSize bytes.
func Take[T any](r *RDD[T], n int) ([]T, error) {
	o, err := begin(r, "take")
	if err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, o.error(fmt.Errorf("%w, not %d", ErrLimit, n))
	}
	return take(o, r, n)
}

func take[T any](o op, r *RDD[T], n int) ([]T, error) {
	codec, err := encoding.For[T]()
	if err != nil {
		return nil, o.error(err)
	}
	var rows []T
	left := r.sc.maxResultBytes() // bytes
	err = scan(r, func(partitions []int) (enough bool, err error) {
		if n == 0 {
			return true, nil
		}
		a := collectAction(o, r, codec, n-len(rows), left)
		a.Partitions = partitions
		results, err := r.sc.run(a)
		if err != nil {
			return false, err
		}
		found, size, err := decodeRows(codec, results, n-len(rows))
		rows = append(rows, found...)
		if left -= size; left < 0 {
			return true, o.error(fmt.Errorf("%w: more than %d bytes for the driver", ErrResultTooLarge, r.sc.maxResultBytes()))
		}
		return len(rows) == n, err
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// IsEmpty reports whether there is no element. Partitions are computed as for [Take], each
// up to its first element; no element is sent.
func IsEmpty[T any](r *RDD[T]) (bool, error) {
	o, err := begin(r, "isEmpty")
	if err != nil {
		return false, err
	}
	empty := true
	a := o.action(r.node, func(tc *task.Context, p int) (result []byte, failed error) {
		r.Compute(tc, p)(func(_ T, err error) bool {
			result, failed = []byte{1}, err
			return false
		})
		return result, failed
	})
	err = scan(r, func(partitions []int) (enough bool, err error) {
		a.Partitions = partitions
		results, err := r.sc.run(a)
		for _, b := range results {
			empty = empty && len(b) == 0
		}
		return !empty, err
	})
	return empty && err == nil, err
}

// scanGrowth is how many times more partitions each round of a scan computes than those
// before it did together (Spark's limit.scaleUpFactor).
const scanGrowth = 4

// scan hands f ever more of the partitions that it hasn't seen, in order, until f has
// enough. Partitions that bring the driver too much together are tried in smaller groups:
// f may have no need of all of them.
func scan[T any](r *RDD[T], f func(partitions []int) (enough bool, err error)) error {
	all, most := r.node.Partitions, r.node.Partitions
	for scanned := 0; scanned < all; {
		until := min(all, scanned+min(most, max(1, scanGrowth*scanned)))
		enough, err := f(numbers(scanned, until))
		if n := until - scanned; n > 1 && !enough && errors.Is(err, ErrResultTooLarge) {
			most = n / 2
			continue
		}
		if err != nil || enough {
			return err
		}
		scanned = until
	}
	return nil
}

// numbers returns the numbers [from, until).
func numbers(from, until int) []int {
	n := make([]int, until-from)
	for i := range n {
		n[i] = from + i
	}
	return n
}
