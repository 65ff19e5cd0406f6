package rdd

import "github.com/hibana-engine/hibana/rdd/encoding"

// Tuple is two values of which neither is a key.
type Tuple[A, B any] struct {
	First  A
	Second B
}

// NewCodec returns the codec of the tuple type: the first value, then the second. It
// implements encoding.SelfCodec.
func (Tuple[A, B]) NewCodec() (any, error) {
	two, err := newTwoCodec[A, B]()
	return tupleCodec[A, B]{two}, err
}

type tupleCodec[A, B any] struct{ twoCodec[A, B] }

func (c tupleCodec[A, B]) Append(dst []byte, t Tuple[A, B]) ([]byte, error) {
	return c.append(dst, t.First, t.Second)
}

func (c tupleCodec[A, B]) Decode(src []byte) (t Tuple[A, B], rest []byte, err error) {
	t.First, t.Second, rest, err = c.decode(src)
	return t, rest, err
}

// twoCodec writes an array of two values.
type twoCodec[A, B any] struct {
	first  encoding.Codec[A]
	second encoding.Codec[B]
}

func newTwoCodec[A, B any]() (c twoCodec[A, B], err error) {
	if c.first, err = encoding.For[A](); err == nil {
		c.second, err = encoding.For[B]()
	}
	return c, err
}

func (c twoCodec[A, B]) append(dst []byte, a A, b B) ([]byte, error) {
	dst, err := c.first.Append(encoding.AppendArrayLen(dst, 2), a)
	if err == nil {
		dst, err = c.second.Append(dst, b)
	}
	return dst, err
}

func (c twoCodec[A, B]) decode(src []byte) (a A, b B, rest []byte, err error) {
	if rest, err = decodeArrayOf(src, 2); err == nil {
		a, rest, err = c.first.Decode(rest)
	}
	if err == nil {
		b, rest, err = c.second.Decode(rest)
	}
	return a, b, rest, err
}
