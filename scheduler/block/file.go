package block

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/hibana-engine/hibana/rdd/frame"
)

// fileBuffer is how much is written or read at once.
const fileBuffer = 64 << 10

// File is a file of frames. One goroutine appends; after Finish many may read.
type File struct {
	disk    *Disk
	path    string
	size    int64 // bytes of whole frames
	out     *os.File
	buf     *bufio.Writer
	header  [frame.HeaderSize]byte
	scratch []byte
	err     error // of the first write that failed
}

// NewFile makes a file to append to.
func (d *Disk) NewFile() (*File, error) {
	out, path, err := d.create()
	if err != nil {
		return nil, err
	}
	return &File{disk: d, path: path, out: out, buf: bufio.NewWriterSize(out, fileBuffer)}, nil
}

// AppendPieces writes bytes in frames of at most PieceSize.
func (f *File) AppendPieces(b []byte) error {
	for len(b) > 0 {
		piece := b[:min(len(b), PieceSize)]
		b = b[len(piece):]
		if err := f.Append(f.Pack(piece)); err != nil {
			return err
		}
	}
	return nil
}

// Pack makes a frame that is good until the next.
func (f *File) Pack(b []byte) Frame { return Pack(&f.scratch, b) }

// Size returns the bytes of the frames appended: where the next one begins.
func (f *File) Size() int64 { return f.size }

// Append writes a frame.
func (f *File) Append(fr Frame) error {
	switch {
	case f.err != nil:
		return f.err
	case f.out == nil:
		return fmt.Errorf("writing to a file of blocks: %w", ErrClosed)
	}
	_, err := f.buf.Write(fr.AppendHeader(f.header[:0]))
	if err == nil {
		_, err = f.buf.Write(fr.Data)
	}
	f.size += frame.HeaderSize + int64(len(fr.Data))
	return f.note(err)
}

func (f *File) note(err error) error {
	if err != nil && f.err == nil {
		f.err = f.disk.failed("writing blocks to a file", err)
	}
	return f.err
}

// Finish writes what is buffered and ends appending.
func (f *File) Finish() error {
	if f.out == nil {
		return f.err
	}
	if f.err == nil {
		_ = f.note(f.buf.Flush())
	}
	_ = f.note(f.out.Close())
	f.out, f.buf, f.scratch = nil, nil, nil
	return f.err
}

// Remove drops the file. It may be called again, after Finish by anybody.
func (f *File) Remove() {
	if f.out != nil {
		_ = f.out.Close() // nobody reads it
		f.out = nil
	}
	f.disk.remove(f.path)
}

// openFile opens the file for reading; one that was removed says [ErrNoBlock].
func (f *File) openFile() (*os.File, error) {
	in, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: its file was removed", ErrNoBlock)
	}
	if err != nil {
		return nil, fmt.Errorf("reading blocks of a file: %w", err)
	}
	return in, nil
}

// Frames reads the frames of a file in a row.
type Frames struct {
	in   *os.File
	buf  *bufio.Reader
	left int64
}

// Read returns the frames from one place up to another.
func (f *File) Read(from, until int64) (*Frames, error) {
	in, err := f.openFile()
	if err != nil {
		return nil, err
	}
	n := until - from
	return &Frames{in, bufio.NewReaderSize(io.NewSectionReader(in, from, n), int(min(n, fileBuffer))), n}, nil
}

// Next returns the next frame as it is stored, in bytes of its own. The error is io.EOF
// after the last.
func (r *Frames) Next() (Frame, error) {
	if r.left == 0 {
		return Frame{}, io.EOF
	}
	var header [frame.HeaderSize]byte
	if _, err := io.ReadFull(r.buf, header[:]); err != nil {
		return Frame{}, r.failed(err)
	}
	fr, stored, err := frame.ReadHeader(header[:], r.left-frame.HeaderSize)
	if err != nil {
		return Frame{}, err
	}
	fr.Data = make([]byte, stored)
	if _, err := io.ReadFull(r.buf, fr.Data); err != nil {
		return Frame{}, r.failed(err)
	}
	r.left -= frame.HeaderSize + int64(stored)
	return fr, nil
}

// failed says of an error that the file is shorter than it should be.
func (r *Frames) failed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: its file was cut off, %d bytes are missing", ErrCorrupt, r.left)
	}
	return fmt.Errorf("reading blocks of a file: %w", err)
}

// Close frees the file handle.
func (r *Frames) Close() error { return r.in.Close() }

// Load reads what AppendPieces wrote between two places, n bytes.
func (f *File) Load(from, until int64, n int) ([]byte, error) {
	in, err := f.Read(from, until)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return in.Load(until-from, n)
}

// Load reads what AppendPieces wrote to the next stored bytes of the file, n bytes.
func (r *Frames) Load(stored int64, n int) ([]byte, error) {
	var b []byte
	for end := r.left - stored; r.left > end; {
		fr, err := r.Next()
		if err != nil {
			return nil, err
		}
		piece, err := fr.Unpack(PieceSize)
		switch {
		case err != nil:
			return nil, err
		case len(piece) > n-len(b):
			return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrCorrupt, n)
		case len(piece) == n:
			return piece, nil // often
		case b == nil:
			b = make([]byte, 0, n)
		}
		b = append(b, piece...)
	}
	if len(b) != n {
		return nil, fmt.Errorf("%w: there are %d bytes of %d", ErrCorrupt, len(b), n)
	}
	return b, nil
}
