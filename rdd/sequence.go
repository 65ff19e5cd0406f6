package rdd

import (
	"context"
	"iter"

	"github.com/hibana-engine/hibana/rdd/task"
)

// How sequences end is written here, once. An error is a sequence's last element;
// nothing comes after its reader wants no more; and whoever makes records, also many
// of one, asks before each whether the task was killed.
//
// An operator calls the sequence that it reads with a function rather than range over
// it: a loop's body would check for each record that the sequence hasn't ended. What
// the user wrote is ranged over (see watched), and a sequence of theirs that goes on
// after its end panics.

// Elements yields the elements of a slice, as a source does.
func Elements[T any](tc *task.Context, rows []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) { each(tc, rows, yield) }
}

// computed yields the elements that f returns. It calls f when it is read.
//
//go:noinline
func computed[T any](tc *task.Context, f func() ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		rows, err := f()
		_ = ends(yield, err) || each(tc, rows, yield)
	}
}

// each hands the elements of a slice to yield and reports whether it wants more.
func each[T any](tc *task.Context, rows []T, yield func(T, error) bool) bool {
	for _, v := range rows {
		if tc.Killed() {
			ends(yield, context.Cause(tc))
			return false
		}
		if !yield(v, nil) {
			return false
		}
	}
	return true
}

// ends hands yield an error, if it is one, as the last element of its sequence. It
// reports whether it is.
func ends[T any](yield func(T, error) bool, err error) bool {
	if err == nil {
		return false
	}
	var none T
	yield(none, err)
	return true
}
