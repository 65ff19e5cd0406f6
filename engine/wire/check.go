package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Bounds of a message's shape.
const (
	maxDepth = 16 // how deep it nests
	// maxValues is how many values it holds, all levels together. An element of
	// one byte may be a struct of hundreds in memory.
	maxValues = 2 << 20
)

// errTruncated says that a value announces more than there is.
var errTruncated = errors.New("it ends in the middle of a value")

// check walks one msgpack value and makes sure that it is whole, that nothing
// follows it and that no length in it announces more than there is. The msgpack
// library allocates slices by their announced length, so that five bytes could
// ask for gigabytes.
func check(b []byte) error {
	c := checker{left: maxValues}
	rest, err := c.skip(b, 0)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d bytes follow it", len(rest))
	}
	return nil
}

// Check makes sure that Decode will take what Encode wrote. What is written to be
// read later, to Raft's log or a snapshot, is checked before: what no node can
// read would stop them all. An error wraps [ErrTooLarge].
func Check(encoded []byte) error {
	if len(encoded) == 0 {
		return fmt.Errorf("%w: a message without a format", ErrMalformed)
	}
	if err := check(encoded[1:]); err != nil {
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	return nil
}

// checker counts the values of a message.
type checker struct{ left int }

// skip returns what follows the value at the beginning of b.
func (k *checker) skip(b []byte, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it nests deeper than %d", maxDepth)
	}
	if k.left--; k.left < 0 {
		return nil, fmt.Errorf("it holds more than %d values", maxValues)
	}
	if len(b) == 0 {
		return nil, errTruncated
	}
	c := b[0]
	b = b[1:]
	switch {
	case c <= 0x7f || c >= 0xe0: // small integers
		return b, nil
	case c <= 0x8f:
		return k.skipElements(b, 2*int(c&0x0f), depth)
	case c <= 0x9f:
		return k.skipElements(b, int(c&0x0f), depth)
	case c <= 0xbf:
		return cut(b, int(c&0x1f))
	}
	switch c {
	case 0xc0, 0xc2, 0xc3: // nil, false, true
		return b, nil
	case 0xc4, 0xd9: // bin 8, str 8
		return skipBytes(b, 1)
	case 0xc5, 0xda:
		return skipBytes(b, 2)
	case 0xc6, 0xdb:
		return skipBytes(b, 4)
	case 0xcc, 0xd0: // integers and floats
		return cut(b, 1)
	case 0xcd, 0xd1:
		return cut(b, 2)
	case 0xca, 0xce, 0xd2:
		return cut(b, 4)
	case 0xcb, 0xcf, 0xd3:
		return cut(b, 8)
	case 0xdc, 0xdd, 0xde, 0xdf: // array 16 and 32, map 16 and 32
		return k.skipContainer(b, c, depth)
	}
	return nil, fmt.Errorf("byte %#x begins no value that messages hold", c)
}

// skipContainer skips an array or a map with a 16 or 32 bit length.
func (k *checker) skipContainer(b []byte, c byte, depth int) ([]byte, error) {
	width := 2
	if c&1 == 1 {
		width = 4
	}
	n, b, err := length(b, width)
	if err != nil {
		return nil, err
	}
	if c >= 0xde {
		n *= 2
	}
	return k.skipElements(b, n, depth)
}

// skipElements skips n values.
func (k *checker) skipElements(b []byte, n, depth int) (_ []byte, err error) {
	if n > len(b) { // each takes a byte at least
		return nil, errTruncated
	}
	for range n {
		if b, err = k.skip(b, depth+1); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// skipBytes skips a string whose length has the given width.
func skipBytes(b []byte, width int) ([]byte, error) {
	n, b, err := length(b, width)
	if err != nil {
		return nil, err
	}
	return cut(b, n)
}

// length reads a big-endian length of 1, 2 or 4 bytes.
func length(b []byte, width int) (int, []byte, error) {
	if len(b) < width {
		return 0, nil, errTruncated
	}
	switch width {
	case 1:
		return int(b[0]), b[1:], nil
	case 2:
		return int(binary.BigEndian.Uint16(b)), b[2:], nil
	}
	return int(binary.BigEndian.Uint32(b)), b[4:], nil
}

// cut returns b without its first n bytes.
func cut(b []byte, n int) ([]byte, error) {
	if n > len(b) {
		return nil, errTruncated
	}
	return b[n:], nil
}
