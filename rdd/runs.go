package rdd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Operators that collect what they read ask their task for memory as they go, and
// write what they hold to a run when they are refused: sorted, so that runs can be merged
// while they are read back.

// frameBytes is about how many bytes of records go into one frame of a run.
const frameBytes = 64 << 10

// writeRun writes the records of a sequence to a new run.
//
//go:noinline
func writeRun[T any](m task.Memory, codec encoding.Codec[T], rows iter.Seq2[T, error]) (task.Run, error) {
	run, err := m.NewRun()
	if err != nil {
		return nil, err
	}
	if err := fillRun(run, codec, rows); err != nil {
		run.Remove()
		return nil, err
	}
	return run, nil
}

func fillRun[T any](run task.Run, codec encoding.Codec[T], rows iter.Seq2[T, error]) error {
	frame := make([]byte, 0, frameBytes+frameBytes/4)
	for v, err := range rows {
		if err != nil {
			return err
		}
		if frame, err = codec.Append(frame, v); err != nil {
			return err
		}
		if len(frame) < frameBytes {
			continue
		}
		if err := run.Append(frame); err != nil {
			return err
		}
		frame = frame[:0]
	}
	if len(frame) > 0 {
		if err := run.Append(frame); err != nil {
			return err
		}
	}
	return run.Finish()
}

// cursor returns records one by one; ok is false at the end.
type cursor[T any] struct {
	next func() (v T, err error, ok bool)
	stop func()
}

// readRun returns the records of a run.
//
//go:noinline
func readRun[T any](run task.Run, codec encoding.Codec[T]) (cursor[T], error) {
	in, err := run.Open()
	if err != nil {
		return cursor[T]{}, err
	}
	var frame []byte
	next := func() (v T, err error, ok bool) {
		for len(frame) == 0 {
			if frame, err = in.Next(); errors.Is(err, io.EOF) {
				return v, nil, false
			} else if err != nil {
				return v, err, false
			}
		}
		if v, frame, err = codec.Decode(frame); err != nil {
			return v, fmt.Errorf("%w: a spilled record: %w", ErrEncoding, err), false
		}
		return v, nil, true
	}
	return cursor[T]{next, func() { _ = in.Close() }}, nil
}

// merged yields the records of sorted cursors in order. Of equal ones those of the
// cursor that comes first in the list come first. It stops them.
//
//go:noinline
func merged[T any](tc *task.Context, cursors []cursor[T], by order[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		h := mergeHeap[T]{by: by}
		defer func() {
			for _, c := range cursors {
				c.stop()
			}
		}()
		for i, c := range cursors {
			if err := h.push(&mergeSource[T]{cursor: c, number: i}); ends(yield, err) {
				return
			}
		}
		for len(h.sources) > 0 {
			if tc.Killed() {
				ends(yield, context.Cause(tc))
				return
			}
			if !yield(h.sources[0].head, nil) || ends(yield, h.advance()) {
				return
			}
		}
	}
}

// mergeSource is a cursor of which head is the first record that wasn't taken.
type mergeSource[T any] struct {
	cursor[T]
	head   T
	rank   uint64 // of head
	number int
}

// mergeHeap is a binary heap of the sources by their heads.
type mergeHeap[T any] struct {
	by      order[T]
	sources []*mergeSource[T]
}

func (h *mergeHeap[T]) less(a, b *mergeSource[T]) bool {
	if a.rank != b.rank {
		return a.rank < b.rank
	}
	c := h.by.compare(a.head, b.head)
	return c < 0 || c == 0 && a.number < b.number
}

// next takes a source's next record.
func (h *mergeHeap[T]) next(s *mergeSource[T]) (ok bool, err error) {
	s.head, err, ok = s.cursor.next()
	if ok && h.by.rank != nil {
		s.rank = h.by.rank(s.head, 0) ^ h.by.flip
	}
	return ok, err
}

// push adds a source unless it is empty.
func (h *mergeHeap[T]) push(s *mergeSource[T]) error {
	ok, err := h.next(s)
	if !ok || err != nil {
		return err
	}
	h.sources = append(h.sources, s)
	for i := len(h.sources) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.less(h.sources[i], h.sources[up]) {
			break
		}
		h.sources[i], h.sources[up] = h.sources[up], h.sources[i]
		i = up
	}
	return nil
}

// advance takes the first source's head off.
func (h *mergeHeap[T]) advance() error {
	ok, err := h.next(h.sources[0])
	if err != nil {
		return err
	}
	if !ok {
		last := len(h.sources) - 1
		h.sources[0] = h.sources[last]
		h.sources[last] = nil
		h.sources = h.sources[:last]
	}
	h.sink()
	return nil
}

// sink restores the heap when its first source's head has changed.
func (h *mergeHeap[T]) sink() {
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(h.sources); c++ {
			if h.less(h.sources[c], h.sources[least]) {
				least = c
			}
		}
		if least == i {
			return
		}
		h.sources[i], h.sources[least] = h.sources[least], h.sources[i]
		i = least
	}
}
