package rdd

import (
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/hibana-engine/hibana/rdd/files"
	"github.com/hibana-engine/hibana/rdd/task"
)

// compression is how a file is compressed.
type compression int

const (
	uncompressed compression = iota
	gzipped
	zstandard
	bzipped
)

// suffix returns the end of the names of files that are so compressed.
func (c compression) suffix() string { return [...]string{"", ".gz", ".zst", ".bz2"}[c] }

// compressionOf tells by a file's name how it is compressed.
func compressionOf(f files.File) compression {
	name, _, _ := strings.Cut(f.Path, "?") // the parameters of a bucket
	switch strings.ToLower(path.Ext(name)) {
	case ".gz", ".gzip":
		return gzipped
	case ".zst", ".zstd":
		return zstandard
	case ".bz2":
		return bzipped
	}
	return uncompressed
}

// isPlain reports whether a file isn't compressed, so that parts of it can be read.
func isPlain(f files.File) bool { return compressionOf(f) == uncompressed }

// Memory of a decompressor at most: what a zstd file wants as its window.
const maxWindow = 128 << 20

// unpacked reads a file from its beginning to its end, decompressed. Its errors name the
// file and the place.
type unpacked struct {
	from  *files.Reader
	file  files.File
	in    io.Reader
	close func()
}

// openUnpacked opens a whole file.
func openUnpacked(tc *task.Context, f files.File) (*unpacked, error) {
	from, err := openRange(tc, f, 0, f.Size)
	if err != nil {
		return nil, err
	}
	u := &unpacked{from: from, file: f, in: from, close: func() {}}
	switch compressionOf(f) {
	case gzipped:
		u.in, err = gzip.NewReader(from)
	case bzipped:
		u.in = bzip2.NewReader(from)
	case zstandard:
		var z *zstd.Decoder
		if z, err = zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			u.in, u.close = z, z.Close
		}
	}
	if err != nil {
		return nil, errors.Join(u.explained(err), from.Close())
	}
	return u, nil
}

// Read implements io.Reader.
func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.in.Read(p)
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = u.explained(err)
	} else if err != nil && isPlain(u.file) && u.from.Offset() < u.file.Size {
		err = u.explained(io.ErrUnexpectedEOF)
	}
	return n, err
}

// explained says of an error of a file's bytes where it is.
func (u *unpacked) explained(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return u.damaged(&cutShort{u.file.Path, u.from.Offset()})
	}
	if isPlain(u.file) || strings.Contains(err.Error(), u.file.Path) {
		return err
	}
	return u.damaged(fmt.Errorf("%w: %s before byte %d: %w", files.ErrDamaged, u.file.Path, u.from.Offset(), err))
}

// damaged says that another attempt finds the same, if the file was read to its end.
func (u *unpacked) damaged(err error) error {
	if u.from.Offset() < u.file.Size {
		return err
	}
	return Permanent(err)
}

// Close ends reading.
func (u *unpacked) Close() error {
	u.close()
	return u.from.Close()
}

// plain reads a file that isn't compressed from an offset to its end, in ranges: first
// what a split needs, then what its last line may need.
type plain struct {
	tc    *task.Context
	file  files.File
	from  *files.Reader
	at    int64
	until int64 // of the range
	next  int64 // length of the next one
}

// moreThanSplit is how much is asked for at once beyond a split.
const moreThanSplit = 64 << 10

// openPlain opens a file at an offset. Up to until is read for sure.
func openPlain(tc *task.Context, f files.File, from, until int64) (*plain, error) {
	p := &plain{tc: tc, file: f, at: from, next: until - from}
	return p, p.advance()
}

// advance opens the next range.
func (p *plain) advance() (err error) {
	p.until = min(p.file.Size, p.at+p.next)
	p.next = moreThanSplit
	if p.at == p.until {
		return nil
	}
	p.from, err = openRange(p.tc, p.file, p.at, p.until-p.at)
	return err
}

// Read implements io.Reader.
func (p *plain) Read(b []byte) (int, error) {
	if p.at == p.until {
		if p.at == p.file.Size {
			return 0, io.EOF
		}
		if err := errors.Join(p.from.Close(), p.advance()); err != nil {
			return 0, err
		}
	}
	n, err := p.from.Read(b[:min(int64(len(b)), p.until-p.at)])
	p.at += int64(n)
	if errors.Is(err, io.EOF) {
		if err = nil; p.at < p.until {
			err = &cutShort{p.file.Path, p.at}
		}
	}
	return n, err
}

// Close ends reading.
func (p *plain) Close() error {
	if p.from == nil {
		return nil
	}
	return p.from.Close()
}
