package rdd

import (
	"context"
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// sortRows yields the records of a sequence in order; equal ones stay in the order in
// which they came. What the task has no memory for is sorted in files.
//
//go:noinline
func sortRows[T any](tc *task.Context, codec encoding.Codec[T], by order[T], in iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		s := sorter[T]{
			tc: tc, by: by, size: newSizer(codec), ledger: ledger{memory: tc.Memory, slack: reserveStep},
			runs: runSet[T]{tc: tc, codec: codec, by: by},
		}
		defer s.close()
		var failed error
		in(func(v T, err error) bool {
			if err == nil {
				err = s.add(v)
			}
			if err != nil {
				failed = err
			}
			return err == nil
		})
		if !ends(yield, failed) {
			s.sorted()(yield)
		}
	}
}

// sorter holds records and the runs that it wrote.
type sorter[T any] struct {
	tc     *task.Context
	by     order[T]
	size   *sizer[T]
	ledger ledger
	rows   []T
	runs   runSet[T]
}

func (s *sorter[T]) add(v T) error {
	if (!s.ledger.charge(s.size.of(v)+rankedRowBytes) || len(s.rows) == mostSorted) && len(s.rows) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.rows = append(s.rows, v)
	return nil
}

// spill writes the records that are held to a run.
func (s *sorter[T]) spill() error {
	if err := s.runs.add(s.inOrder()); err != nil {
		return err
	}
	clear(s.rows)
	s.rows = s.rows[:0]
	s.ledger.set(0)
	return nil
}

// sorted yields all records in order. Those that are held came last.
func (s *sorter[T]) sorted() iter.Seq2[T, error] {
	if len(s.runs.runs) == 0 {
		return s.inOrder()
	}
	return s.runs.merged(s.held())
}

// inOrder yields the records that are held in order.
func (s *sorter[T]) inOrder() iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, i := range s.by.sort(s.rows) {
			if s.tc.Killed() {
				ends(yield, context.Cause(s.tc))
				return
			}
			if !yield(s.rows[i], nil) {
				return
			}
		}
	}
}

// held is a cursor of what inOrder yields.
func (s *sorter[T]) held() cursor[T] {
	left := s.by.sort(s.rows)
	return cursor[T]{stop: func() {}, next: func() (v T, err error, ok bool) {
		if len(left) == 0 {
			return v, nil, false
		}
		v, left = s.rows[left[0]], left[1:]
		return v, nil, true
	}}
}

// close drops what is held.
func (s *sorter[T]) close() {
	s.runs.close()
	s.ledger.set(0)
}
