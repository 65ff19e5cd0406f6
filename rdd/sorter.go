package rdd

import (
	"iter"
	"slices"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// sortRows yields the records of a sequence in order; equal ones stay in the order in
// which they came. What the task has no memory for is sorted in files.
//
//go:noinline
func sortRows[T any](tc *task.Context, codec encoding.Codec[T], compare func(a, b T) int, in iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		s := sorter[T]{
			tc: tc, compare: compare, size: newSizer(codec), ledger: ledger{memory: tc.Memory, slack: reserveStep},
			runs: runSet[T]{tc: tc, codec: codec, compare: compare},
		}
		defer s.close()
		var failed error
		in(func(v T, err error) bool {
			if failed = err; failed == nil {
				failed = s.add(v)
			}
			return failed == nil
		})
		if !ends(yield, failed) {
			s.sorted()(yield)
		}
	}
}

// sorter holds records and the runs that it wrote.
type sorter[T any] struct {
	tc      *task.Context
	compare func(a, b T) int
	size    *sizer[T]
	ledger  ledger
	rows    []T
	runs    runSet[T]
}

func (s *sorter[T]) add(v T) error {
	if !s.ledger.charge(s.size.of(v)) && len(s.rows) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.rows = append(s.rows, v)
	return nil
}

// spill writes the records that are held to a run.
func (s *sorter[T]) spill() error {
	slices.SortStableFunc(s.rows, s.compare)
	if err := s.runs.add(Elements(s.tc, s.rows)); err != nil {
		return err
	}
	clear(s.rows)
	s.rows = s.rows[:0]
	s.ledger.set(0)
	return nil
}

// sorted yields all records in order. Those that are held came last.
func (s *sorter[T]) sorted() iter.Seq2[T, error] {
	slices.SortStableFunc(s.rows, s.compare)
	if len(s.runs.runs) == 0 {
		return Elements(s.tc, s.rows)
	}
	return s.runs.merged(s.rows)
}

// close drops what is held.
func (s *sorter[T]) close() {
	s.runs.close()
	s.ledger.set(0)
}
