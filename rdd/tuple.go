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
	first, err := encoding.For[A]()
	if err != nil {
		return nil, err
	}
	second, err := encoding.For[B]()
	return tupleCodec[A, B]{first, second}, err
}

// tupleCodec writes an array of two.
type tupleCodec[A, B any] struct {
	first  encoding.Codec[A]
	second encoding.Codec[B]
}

func (c tupleCodec[A, B]) Append(dst []byte, t Tuple[A, B]) ([]byte, error) {
	dst, err := c.first.Append(encoding.AppendArrayLen(dst, 2), t.First)
	if err != nil {
		return dst, err
	}
	return c.second.Append(dst, t.Second)
}

func (c tupleCodec[A, B]) Decode(src []byte) (t Tuple[A, B], rest []byte, err error) {
	n, rest, err := encoding.DecodeArrayLen(src)
	if err == nil && n != 2 {
		err = encoding.ErrCorrupt
	}
	if err != nil {
		return t, rest, err
	}
	if t.First, rest, err = c.first.Decode(rest); err != nil {
		return t, rest, err
	}
	t.Second, rest, err = c.second.Decode(rest)
	return t, rest, err
}
