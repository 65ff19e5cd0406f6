package rdd

import "github.com/hibana-engine/hibana/rdd/encoding"

// Grouped2 holds the values of a key in two RDDs, see [Cogroup].
type Grouped2[A, B any] struct {
	First  []A
	Second []B
}

// Grouped3 holds the values of a key in three RDDs, see [Cogroup3].
type Grouped3[A, B, C any] struct {
	First  []A
	Second []B
	Third  []C
}

// Grouped4 holds the values of a key in four RDDs, see [Cogroup4].
type Grouped4[A, B, C, D any] struct {
	First  []A
	Second []B
	Third  []C
	Fourth []D
}

// Their codecs write an array of the fields.
type (
	grouped2Codec[A, B any] struct {
		first  encoding.Codec[[]A]
		second encoding.Codec[[]B]
	}
	grouped3Codec[A, B, C any] struct {
		grouped2Codec[A, B]
		third encoding.Codec[[]C]
	}
	grouped4Codec[A, B, C, D any] struct {
		grouped3Codec[A, B, C]
		fourth encoding.Codec[[]D]
	}
)

// NewCodec returns the codec of the type. It implements encoding.SelfCodec.
func (Grouped2[A, B]) NewCodec() (any, error) { return newGrouped2Codec[A, B]() }

// NewCodec returns the codec of the type. It implements encoding.SelfCodec.
func (Grouped3[A, B, C]) NewCodec() (any, error) { return newGrouped3Codec[A, B, C]() }

// NewCodec returns the codec of the type. It implements encoding.SelfCodec.
func (Grouped4[A, B, C, D]) NewCodec() (any, error) {
	var c grouped4Codec[A, B, C, D]
	var err error
	if c.grouped3Codec, err = newGrouped3Codec[A, B, C](); err == nil {
		c.fourth, err = encoding.For[[]D]()
	}
	return c, err
}

func newGrouped2Codec[A, B any]() (c grouped2Codec[A, B], err error) {
	if c.first, err = encoding.For[[]A](); err == nil {
		c.second, err = encoding.For[[]B]()
	}
	return c, err
}

func newGrouped3Codec[A, B, C any]() (c grouped3Codec[A, B, C], err error) {
	if c.grouped2Codec, err = newGrouped2Codec[A, B](); err == nil {
		c.third, err = encoding.For[[]C]()
	}
	return c, err
}

func (c grouped2Codec[A, B]) Append(dst []byte, g Grouped2[A, B]) ([]byte, error) {
	return c.appendFields(encoding.AppendArrayLen(dst, 2), g.First, g.Second)
}

func (c grouped2Codec[A, B]) Decode(src []byte) (g Grouped2[A, B], rest []byte, err error) {
	if rest, err = decodeArrayOf(src, 2); err == nil {
		g.First, g.Second, rest, err = c.decodeFields(rest)
	}
	return g, rest, err
}

func (c grouped3Codec[A, B, C]) Append(dst []byte, g Grouped3[A, B, C]) ([]byte, error) {
	dst, err := c.appendFields(encoding.AppendArrayLen(dst, 3), g.First, g.Second)
	if err == nil {
		dst, err = c.third.Append(dst, g.Third)
	}
	return dst, err
}

func (c grouped3Codec[A, B, C]) Decode(src []byte) (g Grouped3[A, B, C], rest []byte, err error) {
	if rest, err = decodeArrayOf(src, 3); err == nil {
		g.First, g.Second, rest, err = c.decodeFields(rest)
	}
	if err == nil {
		g.Third, rest, err = c.third.Decode(rest)
	}
	return g, rest, err
}

func (c grouped4Codec[A, B, C, D]) Append(dst []byte, g Grouped4[A, B, C, D]) ([]byte, error) {
	dst, err := c.appendFields(encoding.AppendArrayLen(dst, 4), g.First, g.Second)
	if err == nil {
		dst, err = c.third.Append(dst, g.Third)
	}
	if err == nil {
		dst, err = c.fourth.Append(dst, g.Fourth)
	}
	return dst, err
}

func (c grouped4Codec[A, B, C, D]) Decode(src []byte) (g Grouped4[A, B, C, D], rest []byte, err error) {
	if rest, err = decodeArrayOf(src, 4); err == nil {
		g.First, g.Second, rest, err = c.decodeFields(rest)
	}
	if err == nil {
		g.Third, rest, err = c.third.Decode(rest)
	}
	if err == nil {
		g.Fourth, rest, err = c.fourth.Decode(rest)
	}
	return g, rest, err
}

func (c grouped2Codec[A, B]) appendFields(dst []byte, a []A, b []B) ([]byte, error) {
	dst, err := c.first.Append(dst, a)
	if err == nil {
		dst, err = c.second.Append(dst, b)
	}
	return dst, err
}

func (c grouped2Codec[A, B]) decodeFields(src []byte) (a []A, b []B, rest []byte, err error) {
	if a, rest, err = c.first.Decode(src); err == nil {
		b, rest, err = c.second.Decode(rest)
	}
	return a, b, rest, err
}

// decodeArrayOf reads the head of an array of n values.
func decodeArrayOf(src []byte, n int) (rest []byte, err error) {
	got, rest, err := encoding.DecodeArrayLen(src)
	if err == nil && got != n {
		err = encoding.ErrCorrupt
	}
	return rest, err
}
