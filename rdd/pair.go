package rdd

import "github.com/hibana-engine/hibana/rdd/encoding"

// Pair is a keyed record.
type Pair[K comparable, V any] struct {
	Key   K
	Value V
}

// NewCodec returns the codec of the pair type: key, then value. It implements
// encoding.SelfCodec.
func (Pair[K, V]) NewCodec() (any, error) { return newPairCodec[K, V]() }

// pairCodec writes an array of two: key and value.
type pairCodec[K comparable, V any] struct {
	key   encoding.Codec[K]
	value encoding.Codec[V]
}

func newPairCodec[K comparable, V any]() (encoding.Codec[Pair[K, V]], error) {
	k, err := encoding.For[K]()
	if err != nil {
		return nil, err
	}
	v, err := encoding.For[V]()
	if err != nil {
		return nil, err
	}
	return pairCodec[K, V]{k, v}, nil
}

func (c pairCodec[K, V]) Append(dst []byte, p Pair[K, V]) ([]byte, error) {
	dst, err := c.key.Append(encoding.AppendArrayLen(dst, 2), p.Key)
	if err != nil {
		return dst, err
	}
	return c.value.Append(dst, p.Value)
}

func (c pairCodec[K, V]) Decode(src []byte) (p Pair[K, V], rest []byte, err error) {
	n, rest, err := encoding.DecodeArrayLen(src)
	if err == nil && n != 2 {
		err = encoding.ErrCorrupt
	}
	if err != nil {
		return p, rest, err
	}
	if p.Key, rest, err = c.key.Decode(rest); err != nil {
		return p, rest, err
	}
	p.Value, rest, err = c.value.Decode(rest)
	return p, rest, err
}
