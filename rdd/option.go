package rdd

import (
	"fmt"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

// Option is a value that may be missing, as in outer joins. The zero Option is a missing
// one.
type Option[T any] struct {
	Value T // the zero value if it is missing: nothing else is encoded
	Valid bool
}

// Some returns an Option that holds a value.
func Some[T any](v T) Option[T] { return Option[T]{v, true} }

// None returns an Option without a value.
func None[T any]() Option[T] { return Option[T]{} }

// Or returns the value, or another if it is missing.
func (o Option[T]) Or(other T) T {
	if o.Valid {
		return o.Value
	}
	return other
}

// String returns the value, or None, for people.
func (o Option[T]) String() string {
	if o.Valid {
		return fmt.Sprintf("Some(%v)", o.Value)
	}
	return "None"
}

// NewCodec returns the codec of the type. It implements encoding.SelfCodec.
func (Option[T]) NewCodec() (any, error) {
	values, err := encoding.For[T]()
	return optionCodec[T]{values}, err
}

// optionCodec writes an array of the value, or an empty one.
type optionCodec[T any] struct{ value encoding.Codec[T] }

func (c optionCodec[T]) Append(dst []byte, o Option[T]) ([]byte, error) {
	if !o.Valid {
		return encoding.AppendArrayLen(dst, 0), nil
	}
	return c.value.Append(encoding.AppendArrayLen(dst, 1), o.Value)
}

func (c optionCodec[T]) Decode(src []byte) (o Option[T], rest []byte, err error) {
	n, rest, err := encoding.DecodeArrayLen(src)
	switch {
	case err != nil || n == 0:
		return o, rest, err
	case n > 1:
		return o, rest, encoding.ErrCorrupt
	}
	o.Value, rest, err = c.value.Decode(rest)
	o.Valid = err == nil
	return o, rest, err
}
