package npz

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Entry is a named array of an archive. Chainer's names are paths such as
// "predictor/l1/W".
type Entry struct {
	Name  string
	Array Array
}

// Limits bound what reading an archive may cost. Zero fields mean the
// defaults.
type Limits struct {
	// MaxBytes bounds the uncompressed size of all entries together (default
	// DefaultMaxBytes).
	MaxBytes int64
	// MaxEntries bounds the number of arrays (default 100,000).
	MaxEntries int
}

func (l Limits) withDefaults() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = DefaultMaxBytes
	}
	if l.MaxEntries <= 0 {
		l.MaxEntries = 100_000
	}
	return l
}

// maxRatio is what deflate can expand a byte to at most (RFC 1951: 258 bytes
// from two bits, 1032:1). An entry that declares more is lying.
const maxRatio = 1032

// Archive is an .npz whose arrays are decoded when they are asked for.
type Archive struct {
	names []string // in the file's order
	files map[string]*zip.File
}

// Open reads the list of an .npz of size bytes and holds the names and the sizes
// that it declares against limits. Nothing is decoded yet.
func Open(r io.ReaderAt, size int64, limits Limits) (*Archive, error) {
	limits = limits.withDefaults()
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: not a zip archive: %w", ErrFormat, err)
	}
	if len(archive.File) > limits.MaxEntries {
		return nil, fmt.Errorf("%w: %d arrays (at most %d)", ErrTooLarge, len(archive.File), limits.MaxEntries)
	}
	left := limits.MaxBytes
	a := &Archive{files: make(map[string]*zip.File, len(archive.File))}
	for _, f := range archive.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			return nil, fmt.Errorf("%w: the archive holds %q, which is not an .npy", ErrFormat, f.Name)
		}
		if a.files[name] != nil {
			return nil, fmt.Errorf("%w: the archive holds %q twice", ErrFormat, name)
		}
		if err := plausible(f, left); err != nil {
			return nil, fmt.Errorf("array %q: %w", name, err)
		}
		left -= int64(f.UncompressedSize64)
		a.files[name] = f
		a.names = append(a.names, name)
	}
	return a, nil
}

// Names lists the arrays in the file's order.
func (a *Archive) Names() []string { return slices.Clone(a.names) }

// Header reads the type and the shape of an array, without its elements.
func (a *Archive) Header(name string) (Array, error) { return a.read(name, entryHeader) }

// Array reads an array.
func (a *Archive) Array(name string) (Array, error) { return a.read(name, readEntry) }

func (a *Archive) read(name string, from func(*zip.File) (Array, error)) (Array, error) {
	f := a.files[name]
	if f == nil {
		return Array{}, fmt.Errorf("%w: the archive holds no array %q", ErrFormat, name)
	}
	array, err := from(f)
	if err != nil {
		return Array{}, fmt.Errorf("array %q: %w", name, err)
	}
	return array, nil
}

// Read reads all arrays of an .npz of size bytes, in the file's order.
func Read(r io.ReaderAt, size int64, limits Limits) ([]Entry, error) {
	archive, err := Open(r, size, limits)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(archive.names))
	for _, name := range archive.names {
		a, err := archive.Array(name)
		if err != nil {
			return nil, err
		}
		entries = append(entries, Entry{Name: name, Array: a})
	}
	return entries, nil
}

// plausible holds an entry's declared size against the limit and against the
// compressed bytes that are there.
func plausible(f *zip.File, left int64) error {
	declared, packed := f.UncompressedSize64, f.CompressedSize64
	switch f.Method {
	case zip.Store:
		if declared != packed {
			return fmt.Errorf("%w: a stored entry declares %d bytes and has %d", ErrFormat, declared, packed)
		}
	case zip.Deflate:
		if packed < declared/maxRatio {
			return fmt.Errorf("%w: %d compressed bytes cannot hold the %d declared", ErrFormat, packed, declared)
		}
	default:
		return fmt.Errorf("%w: compression method %d is not supported", ErrFormat, f.Method)
	}
	if left < 0 || declared > uint64(left) {
		return fmt.Errorf("%w: %d bytes, %d left", ErrTooLarge, declared, left)
	}
	return nil
}

// entryHeader reads what stands before an entry's elements.
func entryHeader(f *zip.File) (a Array, err error) {
	r, err := f.Open()
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	h, _, err := readHeader(r)
	if err != nil {
		return a, err
	}
	_, err = elements(h.shape)
	return Array{Type: h.kind, Shape: h.shape}, err
}

// readEntry reads an entry to its end.
func readEntry(f *zip.File) (a Array, err error) {
	r, err := f.Open()
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	a, used, err := readArray(r, max(int64(f.UncompressedSize64), 1))
	if err != nil {
		return a, err
	}
	if a.Type != Object && used != int64(f.UncompressedSize64) {
		return a, fmt.Errorf("%w: %d bytes follow the elements", ErrFormat, int64(f.UncompressedSize64)-used)
	}
	// Read to the end, which makes archive/zip compare the checksum. archive/zip
	// never yields more than the declared size.
	if _, err := io.Copy(io.Discard, r); err != nil {
		return a, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return a, nil
}

// ReadFile reads all arrays of the .npz at path within the default Limits.
func ReadFile(path string) (entries []Entry, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	entries, err = Read(f, info.Size(), Limits{})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return entries, nil
}

// Write writes an .npz with the entries in the order given. Equal entries give
// equal bytes. Floats are stored as they are: trained weights lose only some 7 %
// to deflate, which takes longer than an epoch's evaluation. The rest is
// deflated.
func Write(w io.Writer, entries []Entry) error {
	// The first day that zip knows, as NumPy writes it: files must not depend on
	// when they were written.
	epoch := time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)
	archive := zip.NewWriter(w)
	seen := make(map[string]bool, len(entries))
	var npy bytes.Buffer
	for _, e := range entries {
		if seen[e.Name] {
			return fmt.Errorf("%w: array %q given twice", ErrFormat, e.Name)
		}
		seen[e.Name] = true
		npy.Reset()
		if err := appendArray(&npy, e.Array); err != nil {
			return fmt.Errorf("array %q: %w", e.Name, err)
		}
		method := zip.Deflate
		if e.Array.Type == Float32 || e.Array.Type == Float64 {
			method = zip.Store
		}
		to, err := archive.CreateHeader(&zip.FileHeader{Name: e.Name + ".npy", Method: method, Modified: epoch})
		if err != nil {
			return fmt.Errorf("array %q: %w", e.Name, err)
		}
		if _, err := to.Write(npy.Bytes()); err != nil {
			return fmt.Errorf("array %q: %w", e.Name, err)
		}
	}
	return archive.Close()
}

// WriteFile writes the entries to path. The file appears whole or not at all:
// it is written beside path, synced and renamed.
func WriteFile(path string, entries []Entry) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(f.Name()))
		}
	}()
	err = Write(f, entries)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
