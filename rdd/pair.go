package rdd

import "github.com/hibana-engine/hibana/rdd/encoding"

// Pair is a keyed record.
type Pair[K comparable, V any] struct {
	Key   K
	Value V
}

// KV returns a pair.
func KV[K comparable, V any](key K, value V) Pair[K, V] { return Pair[K, V]{key, value} }

// NewCodec returns the codec of the pair type: key, then value. It implements
// encoding.SelfCodec.
func (Pair[K, V]) NewCodec() (any, error) { return newPairCodec[K, V]() }

// pairCodec writes an array of two: key and value.
type pairCodec[K comparable, V any] struct {
	key   encoding.Codec[K]
	value encoding.Codec[V]
}

func newPairCodec[K comparable, V any]() (c pairCodec[K, V], err error) {
	if c.key, err = encoding.For[K](); err != nil {
		return c, err
	}
	c.value, err = encoding.For[V]()
	return c, err
}

// keyedCodec returns the codec of pairs that an operator moves by their keys, which must
// be fit for it: equal keys have one encoding.
func keyedCodec[K comparable, V any](o op) pairCodec[K, V] {
	keys, err := encoding.ForKey[K]()
	o.fail(err)
	values, err := encoding.For[V]()
	o.fail(err)
	return pairCodec[K, V]{keys, values}
}

// withValues returns the codec of pairs of which c is the codec once their values are
// combined. What is wrong with c has been said and isn't said again.
func withValues[V any, K comparable, C any](o op, c pairCodec[K, C]) pairCodec[K, V] {
	values, err := encoding.For[V]()
	if c.key != nil && c.value != nil {
		o.fail(err)
	}
	return pairCodec[K, V]{c.key, values}
}

func (c pairCodec[K, V]) Append(dst []byte, p Pair[K, V]) ([]byte, error) {
	dst, err := c.key.Append(encoding.AppendArrayLen(dst, 2), p.Key)
	if err != nil {
		return dst, err
	}
	return c.value.Append(dst, p.Value)
}

func (c pairCodec[K, V]) Decode(src []byte) (p Pair[K, V], rest []byte, err error) {
	if rest, err = decodeArrayOf(src, 2); err != nil {
		return p, rest, err
	}
	if p.Key, rest, err = c.key.Decode(rest); err != nil {
		return p, rest, err
	}
	p.Value, rest, err = c.value.Decode(rest)
	return p, rest, err
}
