package rdd

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

// Action is what a result stage does: a function of each partition of the final
// RDD, whose encoded result reaches the driver.
type Action struct {
	Final *Node
	// Op and Site are what declared the action and where, for its errors.
	Op   string
	Site Site
	// Functions are the names (see [FuncName]) of the user's functions in it.
	Functions []string
	// Run computes a partition in a task and returns its result for the driver,
	// nil for none.
	Run func(tc *TaskContext, partition int) ([]byte, error)
}

// GuardedRun is Run in a guard, see [Guard]: what panics outside of the fused
// operators is the action.
func (a Action) GuardedRun(tc *TaskContext, partition int) (result []byte, err error) {
	w := work{final: a.Final, tc: tc}
	if a.Op != "" {
		w.end = &Node{Op: a.Op, Site: a.Site, fns: a.Functions}
	}
	err = guard(w, func() (err error) {
		result, err = a.Run(tc, partition)
		return err
	})
	if own, ok := err.(ownError); ok {
		err = attributed(own.error, a.Op, a.Site)
	}
	return result, err
}

// ownError is an error of the action's own, not of the sequence that it read.
type ownError struct{ error }

// attributed returns an error of an operator's function with the operator and its
// place, unless it says already whose it is.
func attributed(err error, op string, site Site) error {
	_, isOp := errors.AsType[*OpError](err)
	_, isPanic := errors.AsType[*PanicError](err)
	_, isFetch := errors.AsType[*FetchFailedError](err)
	if isOp || isPanic || isFetch || op == "" {
		return err
	}
	return &OpError{op, site, err}
}

// ForEachPartition returns the action that hands each partition's sequence to
// f, on executors.
// The sequence yields an error as its last element if the partition can't be
// read; f returns it, and if it doesn't the task fails all the same: a partition
// that couldn't be read must never count as done. What f returns goes to the
// driver.
func ForEachPartition[T any](r *RDD[T], f func(tc *TaskContext, rows iter.Seq2[T, error]) ([]byte, error)) Action {
	return Action{Final: r.node, Op: "forEachPartition", Functions: []string{FuncName(f)}, Run: func(tc *TaskContext, p int) ([]byte, error) {
		rows, failed := kept(tc, r.Compute(tc, p))
		result, err := f(tc, rows)
		if err != nil && *failed == nil {
			err = ownError{err}
		}
		return result, cmp.Or(err, *failed)
	}}
}

// Rows sends elements to the driver and decodes them there.
type Rows[T any] struct {
	codec encoding.Codec[T]
}

// NewRows returns the codec pair of T, or an error if T can't be encoded.
func NewRows[T any]() (Rows[T], error) {
	c, err := encoding.For[T]()
	return Rows[T]{c}, err
}

// Collect returns the action that sends up to limit elements of each partition
// to the driver (all of them for limit < 0). A partition whose encoding exceeds
// maxBytes is an error that says [ErrResultTooLarge].
func (e Rows[T]) Collect(r *RDD[T], limit, maxBytes int) Action {
	if limit < 0 {
		limit = math.MaxInt
	}
	return Action{Final: r.node, Op: "collect", Run: func(tc *TaskContext, p int) ([]byte, error) {
		var out []byte
		if limit == 0 {
			return nil, nil
		}
		n := 0
		for v, err := range r.Compute(tc, p) {
			if err != nil {
				return nil, err
			}
			if out, err = e.codec.Append(out, v); err != nil {
				return nil, &OpError{r.node.Op, r.node.Site, err}
			}
			if len(out) > maxBytes {
				return nil, fmt.Errorf("%w: partition %d of %s at %s has more than %d bytes for the driver", ErrResultTooLarge, p, r.node.Op, r.node.Site, maxBytes)
			}
			if n++; n == limit {
				break
			}
		}
		return out, nil
	}}
}

// Decode returns the elements of the partitions' results, in partition order.
func (e Rows[T]) Decode(results [][]byte) ([]T, error) {
	var rows []T
	for p, b := range results {
		for len(b) > 0 {
			v, rest, err := e.codec.Decode(b)
			if err != nil {
				return nil, fmt.Errorf("%w: result of partition %d: %w", ErrEncoding, p, err)
			}
			rows, b = append(rows, v), rest
		}
	}
	return rows, nil
}
