package encoding

import (
	"errors"
	"fmt"
	"reflect"
)

// reflected is the codec of any type that has no codec of its own here.
type reflected[T any] struct{ codec *typeCodec }

func (c reflected[T]) Append(dst []byte, v T) ([]byte, error) {
	out, err := c.codec.append(bounds{maxDepth, len(dst) + maxSize}, dst, reflect.ValueOf(&v).Elem())
	if err == nil {
		err = checkSize(len(out) - len(dst))
	}
	if err != nil {
		return dst, fmt.Errorf("encoding a %s: %w", reflect.TypeFor[T](), err)
	}
	return out, nil
}

func (c reflected[T]) Decode(src []byte) (v T, rest []byte, err error) {
	rest, err = c.codec.decode(bounds{depth: maxDepth}, src, reflect.ValueOf(&v).Elem())
	switch {
	case err == nil:
		return v, rest, nil
	case !errors.Is(err, ErrCorrupt):
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return v, src, fmt.Errorf("decoding a %s: %w", reflect.TypeFor[T](), err)
}

// Limits of one value.
const (
	// maxDepth is how many pointers, slices and maps may lie in one another: a
	// value that points to itself would overflow the stack, which ends the process.
	maxDepth = 10_000
	// maxSize is how many bytes an encoding may have: a value whose parts share
	// pointers is written out in full, and may grow without end.
	maxSize = 256 << 20
)

// bounds is what is left of the limits at some place within a value.
type bounds struct {
	depth int // how much deeper it may go
	size  int // how long the buffer may grow
}

// enter goes one deeper, with a buffer of the given length.
func (b bounds) enter(length int) (bounds, error) {
	if b.depth == 0 {
		return b, fmt.Errorf("%w: more than %d pointers, slices and maps lie in one another; does it point to itself?", ErrTooDeep, maxDepth)
	}
	if length > b.size {
		return b, errTooLarge()
	}
	b.depth--
	return b, nil
}

// checkSize returns an error if an encoding of n bytes is too long.
func checkSize(n int) error {
	if n > maxSize {
		return errTooLarge()
	}
	return nil
}

func errTooLarge() error {
	return fmt.Errorf("%w: its encoding has more than %d bytes; what is pointed to from several places is written as often", ErrTooLarge, maxSize)
}
