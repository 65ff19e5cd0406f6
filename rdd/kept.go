package rdd

import (
	"errors"
	"fmt"
	"io"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// errPassed ends the computation of a partition that was too large to be kept.
var errPassed = errors.New("the partition wasn't kept")

// rows are the elements of a partition that is kept.
type rows[T any] interface {
	task.Sendable
	// each hands the elements to yield. The error is that they couldn't be read, after
	// some of them if yielded; a task that is killed gets its cause by yield.
	each(tc *task.Context, yield func(T, error) bool) (yielded bool, err error)
}

// memoryRows are rows in memory.
type memoryRows[T any] struct {
	rows  []T
	bytes int64
	codec encoding.Codec[T] // nil if T can't be encoded
	of    *lineage.Node     // the operator, to blame its encoder
}

func (m *memoryRows[T]) Bytes() int64 { return m.bytes }
func (m *memoryRows[T]) Discard()     {}

func (m *memoryRows[T]) each(tc *task.Context, yield func(T, error) bool) (bool, error) {
	each(tc, m.rows, yield)
	return true, nil
}

// Spill encodes the rows into a run.
func (m *memoryRows[T]) Spill(newRun func() (task.Run, error)) (task.Value, error) {
	w, err := newDiskWriter(newRun, m.of, m.codec)
	for i := 0; i < len(m.rows) && err == nil; i++ {
		err = w.add(m.rows[i])
	}
	if err == nil {
		var v task.Value
		if v, err = w.finish(); err == nil {
			return v, nil
		}
	}
	if w != nil {
		w.run.Remove()
	}
	return nil, err
}

// Send implements task.Sendable.
func (m *memoryRows[T]) Send(send func([]byte) error) error {
	_, err := m.Spill(func() (task.Run, error) { return sending{send: send}, nil })
	return err
}

// sending is a run that isn't kept.
type sending struct {
	task.Run
	send func([]byte) error
}

func (s sending) Append(frame []byte) error { return s.send(frame) }
func (sending) Finish() error               { return nil }
func (sending) Remove()                     {}

// diskRows are rows in a run, encoded.
type diskRows[T any] struct {
	run   task.Run
	codec encoding.Codec[T]
}

func (d *diskRows[T]) Bytes() int64                                       { return 0 }
func (d *diskRows[T]) Spill(func() (task.Run, error)) (task.Value, error) { return d, nil }
func (d *diskRows[T]) Discard()                                           { d.run.Remove() }

func (d *diskRows[T]) each(tc *task.Context, yield func(T, error) bool) (yielded bool, err error) {
	return eachFrame(d.run, func(frame []byte) (uint64, bool, error) { return decodeAll(tc, d.codec, frame, yield) })
}

// Send implements task.Sendable.
func (d *diskRows[T]) Send(send func([]byte) error) error {
	in, err := d.run.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	for {
		frame, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = send(frame)
		}
		if err != nil {
			return err
		}
	}
}

// eachFrame hands the frames of a run to decode, which reports how many elements it yielded
// and whether more are wanted.
func eachFrame(run task.Run, decode func(frame []byte) (n uint64, more bool, err error)) (yielded bool, err error) {
	in, err := run.Open()
	if err != nil {
		return false, err
	}
	defer in.Close()
	for {
		frame, err := in.Next()
		if err == io.EOF {
			return yielded, nil
		}
		if err != nil {
			return yielded, err
		}
		n, more, err := decode(frame)
		yielded = yielded || n > 0
		switch {
		case err != nil:
			return yielded, fmt.Errorf("%w: %w", ErrEncoding, err)
		case !more:
			return true, nil
		}
	}
}

// diskWriter encodes rows into a run.
type diskWriter[T any] struct {
	run   task.Run
	of    *lineage.Node // whose encoder it is
	codec encoding.Codec[T]
	buf   []byte
}

func newDiskWriter[T any](newRun func() (task.Run, error), of *lineage.Node, codec encoding.Codec[T]) (*diskWriter[T], error) {
	if codec == nil {
		return nil, fmt.Errorf("%w: a partition is to go to disk", encoding.ErrUnencodable)
	}
	run, err := newRun()
	if err != nil {
		return nil, err
	}
	return &diskWriter[T]{run: run, of: of, codec: codec}, nil
}

func (w *diskWriter[T]) add(v T) error {
	err := lineage.GuardOwn(w.of, func() (err error) {
		before := len(w.buf)
		if w.buf, err = w.codec.Append(w.buf, v); err != nil {
			w.buf = w.buf[:before]
			err = fmt.Errorf("%w: %w", ErrEncoding, err)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: %w", task.ErrCantSpill, err)
	}
	if len(w.buf) < frameBytes {
		return nil
	}
	return w.flush()
}

func (w *diskWriter[T]) flush() error {
	err := w.run.Append(w.buf)
	w.buf = w.buf[:0]
	return err
}

// finish ends writing.
func (w *diskWriter[T]) finish() (task.Value, error) {
	if len(w.buf) > 0 {
		if err := w.flush(); err != nil {
			return nil, err
		}
	}
	if err := w.run.Finish(); err != nil {
		return nil, err
	}
	return &diskRows[T]{w.run, w.codec}, nil
}
