package keyed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hibana-engine/hibana/rdd/frame"
)

// Reader reads the changes of a file without knowing the types of its keys and values.
type Reader struct {
	in     io.Reader
	at     int64 // where the next frame begins
	header Header
	kind   byte
	block  []byte // what is left of the block
	start  int64  // where the block's frame began
	change Change
	total  uint64
	buf    bytes.Buffer
	err    error // that ended reading
}

// NewReader reads the header of a file. It reads no more of r than it needs, so r is
// buffered if it is slow.
func NewReader(r io.Reader) (*Reader, error) {
	f := &Reader{in: r}
	if err := f.begin(); err != nil {
		return nil, fmt.Errorf("reading keyed state: %w", err)
	}
	return f, nil
}

func (f *Reader) begin() error {
	b, err := f.bytes(preamble)
	if err != nil {
		return err
	}
	if err := checkPreamble(b); err != nil {
		return err
	}
	f.at = int64(preamble)
	b, err = f.frame()
	if err != nil {
		return err
	}
	if f.kind != frameHeader {
		return f.corrupt("a frame of kind %q in place of the header", f.kind)
	}
	if f.header, err = decodeHeader(b); err != nil {
		return f.corrupt("the header: %w", err)
	}
	return nil
}

// Header returns the header. Its counts are right if Next has returned io.EOF.
func (f *Reader) Header() Header { return f.header }

// Next returns the next change, which is good until the one after it: first the entries,
// then the removals. The error is io.EOF after the last, when all that was written has
// been read.
func (f *Reader) Next() (*Change, error) {
	if f.err != nil {
		return nil, f.err
	}
	if err := f.next(); err != nil {
		if f.err = err; err != io.EOF {
			f.err = fmt.Errorf("reading %s: %w", f.header, err)
		}
		return nil, f.err
	}
	return &f.change, nil
}

func (f *Reader) next() (err error) {
	for len(f.block) == 0 {
		was := f.kind
		if f.block, err = f.frame(); err != nil {
			return err
		}
		switch {
		case f.kind == frameTrailer:
			return f.end()
		case f.kind != framePuts && (f.kind != frameRemoved || f.header.Base), was == frameRemoved && f.kind == framePuts, len(f.block) == 0:
			return f.corrupt("a frame of kind %q and %d bytes is out of place", f.kind, len(f.block))
		}
		f.change.Stamp = 0
	}
	f.change.Removed = f.kind == frameRemoved
	rest, ok := f.change.cut(f.block, f.change.Stamp)
	if !ok {
		return f.corrupt("a change ends outside of its block")
	}
	f.block = rest
	f.total++
	return nil
}

// end checks the trailer, and that it is the end.
func (f *Reader) end() error {
	if len(f.block) != 8 || binary.LittleEndian.Uint64(f.block) != f.total || f.total != uint64(f.header.Total()) {
		return f.corrupt("%d changes were read, the header says %d, the trailer %x", f.total, f.header.Total(), f.block)
	}
	if n, err := io.ReadFull(f.in, make([]byte, 1)); n > 0 {
		return f.corrupt("there is more behind the trailer")
	} else if err != io.EOF {
		return fmt.Errorf("at byte %d: %w", f.at, err)
	}
	return io.EOF
}

// frame reads a frame and returns what it is made of, behind its kind.
func (f *Reader) frame() ([]byte, error) {
	f.start = f.at
	b, err := f.bytes(frame.HeaderSize)
	if err != nil {
		return nil, err
	}
	fr, stored, err := frame.ReadHeader(b, frame.MaxRaw)
	if err != nil {
		return nil, f.corrupt("%w", err)
	}
	if fr.Data, err = f.bytes(stored); err != nil {
		return nil, err
	}
	f.at += fr.Stored()
	if fr.Raw == 0 {
		b, err = fr.Data, fr.Check()
	} else {
		b, err = fr.Unpack(mostPacked)
	}
	if err != nil {
		return nil, f.corrupt("%w", err)
	}
	if len(b) == 0 {
		return nil, f.corrupt("an empty frame")
	}
	f.kind = b[0]
	return b[1:], nil
}

// bytes reads n bytes, good until the next. It takes memory for what is there, not for
// what n says.
func (f *Reader) bytes(n int) ([]byte, error) {
	f.buf.Reset()
	got, err := io.CopyN(&f.buf, f.in, int64(n))
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: at byte %d there are %d bytes of %d", ErrTruncated, f.at, got, n)
	}
	if err != nil {
		return nil, fmt.Errorf("at byte %d: %w", f.at, err)
	}
	return f.buf.Bytes(), nil
}

// corrupt says what is wrong with the frame that was read last.
func (f *Reader) corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: the frame at byte %d: %w", ErrCorrupt, f.start, fmt.Errorf(format, args...))
}

// Read reads a file to its end: put is called with its entries, removed with the keys that
// were removed, until one of them returns an error. What they were given counts only if
// Read returns none.
func (c Codec[K, V]) Read(f *Reader, put func(k K, v V, stamp int64) error, removed func(k K, stamp int64) error) error {
	if err := c.ofTypes(&f.header); err != nil {
		return err
	}
	dec := newDecoder(c)
	for {
		change, err := f.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := dec.pass(change, put, removed); err != nil {
			return fmt.Errorf("reading %s: in the frame at byte %d: %w", f.header, f.start, err)
		}
	}
}

// pass decodes a change for one of two functions.
func (d *decoder[K, V]) pass(c *Change, put func(k K, v V, stamp int64) error, removed func(k K, stamp int64) error) error {
	k, err := d.key(c)
	if err != nil {
		return err
	}
	if c.Removed {
		return removed(k, c.Stamp)
	}
	v, err := d.value(k, c)
	if err != nil {
		return err
	}
	return put(k, v, c.Stamp)
}

// Build puts what files hold into a table that has nothing: a base and the deltas that
// follow it, in order, all of the table and partition that the header says. It returns the
// table and the header of the last file. The time of the table is that file's Until: the
// next delta may be written since then, but not since earlier.
func (c Codec[K, V]) Build(empty *Table[K, V], want Header, files ...io.Reader) (*Table[K, V], Header, error) {
	var last Header
	var before *Header
	if len(files) == 0 || empty.Len() > 0 {
		return nil, last, fmt.Errorf("%w: %d files can't be put onto a table of %d entries", ErrSequence, len(files), empty.Len())
	}
	edit := empty.Edit()
	for i, file := range files {
		f, err := NewReader(file)
		if err != nil {
			return nil, last, fmt.Errorf("file %d of %d: %w", i+1, len(files), err)
		}
		if err := f.header.Follows(want, before); err != nil {
			return nil, last, fmt.Errorf("file %d of %d: %w", i+1, len(files), err)
		}
		if err := c.Read(f, edit.put, edit.remove); err != nil {
			return nil, last, fmt.Errorf("file %d of %d: %w", i+1, len(files), err)
		}
		last, before = f.header, &last
		if last.Base && edit.Len() != last.Entries {
			return nil, last, fmt.Errorf("file %d of %d: %w: %s has %d keys", i+1, len(files), ErrCorrupt, last, edit.Len())
		}
	}
	edit.ForgetRemovals(last.Until)
	return edit.Commit(), last, nil
}

// Follows makes sure that a file is of the table and partition that a header says, and
// that it follows another one, nil for none: a base comes first, then deltas, each since
// the one before.
func (h *Header) Follows(want Header, last *Header) error {
	if err := h.ofTable(&want); err != nil {
		return err
	}
	switch {
	case last == nil && !h.Base:
		return fmt.Errorf("%w: %s can't be put onto nothing", ErrSequence, h)
	case last != nil && (h.Base || h.Since != last.Until):
		return fmt.Errorf("%w: %s can't be put onto %s", ErrSequence, h, last)
	}
	return nil
}

func (e *Edit[K, V]) put(k K, v V, stamp int64) error {
	e.Put(k, v, stamp)
	return nil
}

func (e *Edit[K, V]) remove(k K, stamp int64) error {
	e.Remove(k, stamp)
	return nil
}
