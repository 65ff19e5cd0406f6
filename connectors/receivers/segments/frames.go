package segments

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/hibana-engine/hibana/rdd/frame"
)

// Errors of this package, for errors.Is.
var (
	// ErrDamaged: a segment isn't what was written, or isn't there.
	ErrDamaged = errors.New("the segment log is damaged")
	// ErrFormat: a segment is one of another version, or of something else.
	ErrFormat = errors.New("the segment has another format")
	// ErrTooLarge: a record is larger than one may be.
	ErrTooLarge = errors.New("the record is too large")
	// ErrLocked: another process has the log.
	ErrLocked = errors.New("the segment log is used by another process")
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("the segment log is closed")
)

// head begins a segment. Its last byte is the version of the format.
const head = "hibseg\n\x01"

// Bounds of frames, in bytes of their records.
const (
	fullFrame = 256 << 10 // no record is added to one so large
	maxRecord = 64 << 20
)

// appendFrame appends a frame of the first of the records, as many as fit, and returns how
// many they are.
func appendFrame(b []byte, records [][]byte) ([]byte, int) {
	n, size := 0, 0
	for n < len(records) && (n == 0 || size < fullFrame) {
		size += len(records[n])
		n++
	}
	payload := binary.AppendUvarint(make([]byte, 0, size+binary.MaxVarintLen32*(n+1)), uint64(n))
	for _, r := range records[:n] {
		payload = binary.AppendUvarint(payload, uint64(len(r)))
		payload = append(payload, r...)
	}
	f := frame.Frame{Data: payload, Sum: frame.Checksum(payload)}
	return append(f.AppendHeader(b), payload...), n
}

// inFrames calls f with frames of the records of a log that may have so many bytes.
func inFrames(records [][]byte, most int64, f func(frame []byte, n int64) error) error {
	for _, r := range records {
		if len(r) > min(maxRecord, int(most/leastSegments)) {
			return fmt.Errorf("%w: it has %d bytes, at most %d; a larger receivers.MaxBytes allows more, up to 64 MiB", ErrTooLarge, len(r), min(maxRecord, most/leastSegments))
		}
	}
	for len(records) > 0 {
		b, n := appendFrame(nil, records)
		if err := f(b, int64(n)); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

// readFrame reads the frame that r, which has so many bytes left, begins with. At the end it
// returns io.EOF.
func readFrame(r io.Reader, left int64) (payload []byte, err error) {
	var h [frame.HeaderSize]byte
	switch _, err := io.ReadFull(r, h[:]); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%w: a frame's header is cut off", ErrDamaged)
	case err != nil:
		return nil, err
	}
	f, stored, err := frame.ReadHeader(h[:], left-frame.HeaderSize)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	f.Data = make([]byte, stored)
	switch _, err := io.ReadFull(r, f.Data); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%w: a frame is cut off", ErrDamaged)
	case err != nil:
		return nil, err
	}
	if err := f.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return f.Data, nil
}

// recordsOf yields the records of a frame, which are parts of its bytes.
func recordsOf(payload []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		count, rest, ok := cutNumber(payload)
		for ; ok && count > 0; count-- {
			var n uint64
			if n, rest, ok = cutNumber(rest); !ok || n > uint64(len(rest)) {
				ok = false
				break
			}
			if !yield(rest[:n:n], nil) {
				return
			}
			rest = rest[n:]
		}
		if !ok || len(rest) > 0 {
			yield(nil, fmt.Errorf("%w: a frame's records don't fill it", ErrDamaged))
		}
	}
}

// cutNumber cuts off the number that b begins with.
func cutNumber(b []byte) (n uint64, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, nil, false
	}
	return n, b[size:], true
}

// readFrames yields the records of the frames in r, which lie in the named file from one byte up
// to another, and are so many.
func readFrames(r io.Reader, name string, from, until, records int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		n, at := int64(0), from
		for at < until {
			payload, err := readFrame(r, until-at)
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: it is cut off", ErrDamaged)
			}
			if err == nil {
				for record, wrong := range recordsOf(payload) {
					if err = wrong; err != nil {
						break
					}
					if n++; !yield(record, nil) {
						return
					}
				}
			}
			if err != nil {
				yield(nil, fmt.Errorf("%s at byte %d: %w", name, at, err))
				return
			}
			at += int64(len(payload)) + frameHead
		}
		if n != records {
			yield(nil, fmt.Errorf("%w: %s has %d records from byte %d up to %d, not %d", ErrDamaged, name, n, from, until, records))
		}
	}
}
