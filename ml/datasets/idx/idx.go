// Package idx reads the IDX format of the MNIST family of data sets: a magic
// number that states the element type and the number of dimensions, the
// dimensions as big-endian 32-bit integers, and the elements
// (http://yann.lecun.com/exdb/mnist/, "File formats"). Only unsigned bytes are
// read, which is what images and labels are.
package idx

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrFormat says that the bytes are not a well-formed IDX file of bytes.
var ErrFormat = errors.New("malformed IDX data")

// MaxBytes bounds the elements of one file; MNIST's largest has 47 million.
const MaxBytes = 1 << 30

// Array holds the elements of a file in row-major order.
type Array struct {
	Shape []int
	Data  []byte
}

// Read reads one IDX file, gzipped or plain. Memory grows with the bytes that
// arrive, so a header that claims too much costs nothing.
func Read(r io.Reader) (Array, error) {
	in := bufio.NewReader(r)
	if start, err := in.Peek(2); err == nil && start[0] == 0x1f && start[1] == 0x8b {
		unzipped, err := gzip.NewReader(in)
		if err != nil {
			return Array{}, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		in = bufio.NewReader(unzipped)
	}
	shape, want, err := header(in)
	if err != nil {
		return Array{}, err
	}
	data, err := io.ReadAll(io.LimitReader(in, want+1))
	if err != nil {
		return Array{}, fmt.Errorf("%w: after %d of %d elements: %w", ErrFormat, len(data), want, err)
	}
	if int64(len(data)) != want {
		return Array{}, fmt.Errorf("%w: shape %v needs %d elements, %d or more are there", ErrFormat, shape, want, len(data))
	}
	return Array{Shape: shape, Data: data}, nil
}

func header(r io.Reader) (shape []int, elements int64, err error) {
	var start [4]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return nil, 0, fmt.Errorf("%w: reading the magic number: %w", ErrFormat, err)
	}
	if start[0] != 0 || start[1] != 0 || start[2] != 8 || start[3] == 0 || start[3] > 8 {
		return nil, 0, fmt.Errorf("%w: magic number % x is not that of an array of bytes", ErrFormat, start)
	}
	dims := make([]uint32, start[3])
	if err := binary.Read(r, binary.BigEndian, dims); err != nil {
		return nil, 0, fmt.Errorf("%w: reading %d dimensions: %w", ErrFormat, len(dims), err)
	}
	elements = 1
	for _, d := range dims {
		shape = append(shape, int(d))
		if elements *= int64(d); elements > MaxBytes { // both factors < 2^32: no overflow
			return nil, 0, fmt.Errorf("%w: shape %v is larger than %d bytes", ErrFormat, dims, MaxBytes)
		}
	}
	return shape, elements, nil
}

// ReadFile reads the IDX file at path, gzipped or plain.
func ReadFile(path string) (a Array, err error) {
	f, err := os.Open(path)
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if a, err = Read(f); err != nil {
		return a, fmt.Errorf("reading %s: %w", path, err)
	}
	return a, nil
}
