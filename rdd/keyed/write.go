package keyed

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/hibana-engine/hibana/rdd/frame"
)

// WriteBase writes all entries of a table. The header says whose they are, and the time of
// the version as Until; the rest of it is filled in.
func (c Codec[K, V]) WriteBase(w io.Writer, h Header, t *Table[K, V]) error {
	h.Base, h.Since = true, math.MinInt64
	h.Entries, h.Removals = t.Len(), 0
	return c.write(w, h, func(put func(K, V, int64) bool, _ func(K, int64) bool) { t.All(put) })
}

// WriteDelta writes what changed after a time, which is the Until of the file that this one
// follows. The header says whose entries they are, and the time of the version as Until;
// the rest of it is filled in.
func (c Codec[K, V]) WriteDelta(w io.Writer, h Header, t *Table[K, V], since int64) error {
	if since < t.forgotten {
		return fmt.Errorf("a delta of table %q since %d can't be written: %w up to %d: write a base", h.Table, since, ErrForgotten, t.forgotten)
	}
	h.Base, h.Since = false, since
	h.Entries, h.Removals = 0, 0
	t.Since(since,
		func(K, V, int64) bool { h.Entries++; return true },
		func(K, int64) bool { h.Removals++; return true })
	return c.write(w, h, func(put func(K, V, int64) bool, removed func(K, int64) bool) { t.Since(since, put, removed) })
}

// write writes a file of the changes that each yields.
func (c Codec[K, V]) write(w io.Writer, h Header, each func(put func(K, V, int64) bool, removed func(K, int64) bool)) error {
	h.Key, h.Value = c.KeyType, c.ValueType
	f := fileWriter{w: w, kind: framePuts}
	enc := encoder[K, V]{codec: c}
	err := f.begin(&h)
	if err == nil {
		each(func(k K, v V, stamp int64) bool {
			var change *Change
			if change, err = enc.put(k, v, stamp); err == nil {
				err = f.add(change)
			}
			return err == nil
		}, func(k K, stamp int64) bool {
			var change *Change
			if change, err = enc.removed(k, stamp); err == nil {
				err = f.add(change)
			}
			return err == nil
		})
	}
	if err == nil {
		err = f.end()
	}
	if err != nil {
		return fmt.Errorf("writing table %q, partition %d: %w", h.Table, h.Partition, err)
	}
	return nil
}

// fileWriter writes changes in blocks.
type fileWriter struct {
	w       io.Writer
	kind    byte   // of the block that is filled
	block   []byte // its changes, behind the kind
	before  int64  // the stamp of the last of them
	total   uint64
	scratch []byte
	out     []byte
}

// begin writes the preamble and the header.
func (f *fileWriter) begin(h *Header) error {
	if _, err := f.w.Write(appendPreamble(nil)); err != nil {
		return err
	}
	b, err := h.encode([]byte{frameHeader})
	if err != nil {
		return err
	}
	return f.frame(b)
}

// add adds a change.
func (f *fileWriter) add(c *Change) error {
	kind := byte(framePuts)
	if c.Removed {
		kind = frameRemoved
	}
	if kind != f.kind || len(f.block) >= blockSize {
		if err := f.flush(); err != nil {
			return err
		}
		f.kind = kind
	}
	if len(f.block) == 0 {
		f.block = append(f.block, kind)
	}
	f.block = c.appendTo(f.block, f.before)
	f.before = c.Stamp
	f.total++
	return nil
}

// flush writes the block.
func (f *fileWriter) flush() error {
	if len(f.block) == 0 {
		return nil
	}
	err := f.frame(f.block)
	f.block, f.before = f.block[:0], 0
	return err
}

// end writes the last block and the trailer.
func (f *fileWriter) end() error {
	if err := f.flush(); err != nil {
		return err
	}
	return f.frame(binary.LittleEndian.AppendUint64([]byte{frameTrailer}, f.total))
}

// frame writes bytes in a frame.
func (f *fileWriter) frame(b []byte) error {
	if len(b) > frame.MaxRaw {
		return fmt.Errorf("an entry of %d bytes: at most %d can be written", len(b), frame.MaxRaw)
	}
	fr := frame.Frame{Data: b, Sum: frame.Checksum(b)}
	if len(b) <= mostPacked {
		fr = frame.Pack(&f.scratch, b)
	}
	f.out = append(fr.AppendHeader(f.out[:0]), fr.Data...)
	_, err := f.w.Write(f.out)
	return err
}
