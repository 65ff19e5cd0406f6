package encoding

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
)

// Errors of this package, for errors.Is.
var (
	// ErrUnencodable: no codec can be made for the type.
	ErrUnencodable = errors.New("type can't be encoded")
	// ErrTooDeep: a value holds more within one another than is followed.
	ErrTooDeep = errors.New("value is nested too deeply")
	// ErrTooLarge: a value's encoding would be too long.
	ErrTooLarge = errors.New("value is too large")
	// ErrCorrupt: the bytes are not what the codec wrote.
	ErrCorrupt = errors.New("encoded bytes are broken")
)

// Codec writes and reads values of one type. It is safe for concurrent use.
type Codec[T any] interface {
	// Append appends the encoding of v to dst.
	Append(dst []byte, v T) ([]byte, error)
	// Decode reads one value from the front of src and returns what follows it.
	// The value may alias src.
	Decode(src []byte) (v T, rest []byte, err error)
}

// SelfCodec is implemented by generic types that know their own codec.
type SelfCodec interface {
	// NewCodec returns a Codec of the implementing type.
	NewCodec() (any, error)
}

// For returns the codec of T, or an error that says [ErrUnencodable] and why.
func For[T any]() (Codec[T], error) {
	var zero T
	t := reflect.TypeFor[T]()
	if s, ok := any(zero).(SelfCodec); ok && t.Kind() != reflect.Pointer {
		c, err := s.NewCodec()
		if err != nil {
			return nil, err
		}
		if c, ok := c.(Codec[T]); ok { // else T embeds the type that has one
			return c, nil
		}
	}
	if c, ok := builtin[T](); ok {
		return c, nil
	}
	c, err := compile(t, false)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnencodable, t, err)
	}
	return reflected[T]{c}, nil
}

// funcs is a codec of two functions.
type funcs[T any] struct {
	append func([]byte, T) []byte
	decode func([]byte) (T, []byte, error)
}

func (c funcs[T]) Append(dst []byte, v T) ([]byte, error) {
	out := c.append(dst, v)
	if err := checkSize(len(out) - len(dst)); err != nil {
		return dst, fmt.Errorf("encoding a %T: %w", v, err)
	}
	return out, nil
}

func (c funcs[T]) Decode(src []byte) (T, []byte, error) { return c.decode(src) }

// decodeOwnBytes is DecodeBytes for who may write into what was decoded: a function of the
// user, while others read the block that it comes from.
func decodeOwnBytes(src []byte) (v, rest []byte, err error) {
	v, rest, err = DecodeBytes(src)
	return bytes.Clone(v), rest, err
}

// builtin returns the codec of a type that needs no reflection.
func builtin[T any]() (Codec[T], bool) {
	c, ok := builtinOf((*T)(nil)).(Codec[T])
	return c, ok
}

// builtinOf is builtin for the type that a pointer points to: the compiler makes it once,
// not once for each type. It returns nil if there is no such codec.
func builtinOf(pointer any) any {
	switch pointer.(type) {
	case *string:
		return funcs[string]{AppendString, DecodeString}
	case *[]byte:
		return funcs[[]byte]{AppendBytes, decodeOwnBytes}
	case *bool:
		return funcs[bool]{AppendBool, DecodeBool}
	case *int:
		return integer[int]()
	case *int8:
		return integer[int8]()
	case *int16:
		return integer[int16]()
	case *int32:
		return integer[int32]()
	case *int64:
		return integer[int64]()
	case *uint:
		return unsigned[uint]()
	case *uint8:
		return unsigned[uint8]()
	case *uint16:
		return unsigned[uint16]()
	case *uint32:
		return unsigned[uint32]()
	case *uint64:
		return unsigned[uint64]()
	case *float32:
		return funcs[float32]{AppendFloat32, DecodeFloat32}
	case *float64:
		return funcs[float64]{AppendFloat64, DecodeFloat64}
	case *struct{}:
		return funcs[struct{}]{appendNothing, decodeNothing}
	case *[]string:
		return sliceOf(funcs[string]{AppendString, DecodeString})
	case *[]int:
		return sliceOf(integer[int]())
	case *[]int32:
		return sliceOf(integer[int32]())
	case *[]int64:
		return sliceOf(integer[int64]())
	case *[]float32:
		return sliceOf(funcs[float32]{AppendFloat32, DecodeFloat32})
	case *[]float64:
		return sliceOf(funcs[float64]{AppendFloat64, DecodeFloat64})
	}
	return nil
}

func integer[T int | int8 | int16 | int32 | int64]() funcs[T] {
	return funcs[T]{
		func(dst []byte, v T) []byte { return AppendInt(dst, int64(v)) },
		func(src []byte) (T, []byte, error) {
			v, rest, err := DecodeInt(src)
			if err == nil && int64(T(v)) != v {
				err = fmt.Errorf("%w: %d doesn't fit in %T", ErrCorrupt, v, T(0))
			}
			return T(v), rest, err
		},
	}
}

func unsigned[T uint | uint8 | uint16 | uint32 | uint64]() funcs[T] {
	return funcs[T]{
		func(dst []byte, v T) []byte { return AppendUint(dst, uint64(v)) },
		func(src []byte) (T, []byte, error) {
			v, rest, err := DecodeUint(src)
			if err == nil && uint64(T(v)) != v {
				err = fmt.Errorf("%w: %d doesn't fit in %T", ErrCorrupt, v, T(0))
			}
			return T(v), rest, err
		},
	}
}

// sliceOf returns the codec of slices of an element without reflection.
func sliceOf[T any](elem funcs[T]) funcs[[]T] {
	return funcs[[]T]{
		func(dst []byte, v []T) []byte {
			if v == nil {
				return append(dst, codeNil)
			}
			dst = AppendArrayLen(dst, len(v))
			for _, e := range v {
				dst = elem.append(dst, e)
			}
			return dst
		},
		func(src []byte) ([]T, []byte, error) {
			if len(src) > 0 && src[0] == codeNil {
				return nil, src[1:], nil
			}
			n, src, err := DecodeArrayLen(src)
			if err != nil {
				return nil, src, err
			}
			v := make([]T, 0, min(n, len(src))) // an element takes a byte at least
			for range n {
				var e T
				if e, src, err = elem.decode(src); err != nil {
					return nil, src, err
				}
				v = append(v, e)
			}
			return v, src, nil
		},
	}
}
