package encoding

import (
	"bytes"
	"fmt"
	"reflect"
)

// isBytes reports whether a slice or an array is of plain bytes.
func isBytes(t reflect.Type) bool {
	if t.Elem().Kind() != reflect.Uint8 {
		return false
	}
	own, err := ownEncoding(t.Elem(), true)
	return own == nil && err == nil
}

// slice returns the codec of a slice; nil and empty ones stay apart.
func (c *compiler) slice(t reflect.Type) (typeCodec, error) {
	if isBytes(t) {
		set := func(v reflect.Value, b []byte) { v.SetBytes(bytes.Clone(b)) } // the user may write into it
		return of(DecodeBytes, set, func(dst []byte, v reflect.Value) []byte { return AppendBytes(dst, v.Bytes()) }), nil
	}
	elem, err := c.compile(t.Elem(), place{addressable: true})
	if err != nil {
		return typeCodec{}, err
	}
	first := max(1, 4096/max(1, int(t.Elem().Size()))) // elements that are made room for before one was seen
	return typeCodec{
		append: func(b bounds, dst []byte, v reflect.Value) ([]byte, error) {
			if v.IsNil() {
				return append(dst, codeNil), nil
			}
			b, err := b.enter(len(dst))
			dst = AppendArrayLen(dst, v.Len())
			for i := 0; i < v.Len() && err == nil; i++ {
				dst, err = elem.append(b, dst, v.Index(i))
			}
			return dst, err
		},
		decode: func(b bounds, src []byte, v reflect.Value) ([]byte, error) {
			if len(src) > 0 && src[0] == codeNil {
				v.SetZero()
				return src[1:], nil
			}
			b, err := b.enter(0)
			if err != nil {
				return src, err
			}
			n, src, err := DecodeArrayLen(src)
			if err != nil {
				return src, err
			}
			s := reflect.New(t).Elem()
			s.Set(reflect.MakeSlice(t, 0, min(n, first)))
			for i := range n {
				if i == s.Cap() {
					s.Grow(min(n-i, i))
				}
				s.SetLen(i + 1)
				if src, err = elem.decode(b, src, s.Index(i)); err != nil {
					return src, err
				}
			}
			v.Set(s)
			return src, nil
		},
	}, nil
}

func (c *compiler) array(t reflect.Type, at place) (typeCodec, error) {
	wrong := func(n int) error { return fmt.Errorf("%w: %d elements for %s", ErrCorrupt, n, t) }
	if isBytes(t) {
		return typeCodec{
			append: func(_ bounds, dst []byte, v reflect.Value) ([]byte, error) {
				return AppendBytes(dst, v.Slice(0, t.Len()).Bytes()), nil
			},
			decode: func(_ bounds, src []byte, v reflect.Value) ([]byte, error) {
				b, rest, err := DecodeBytes(src)
				if err == nil && len(b) != t.Len() {
					err = wrong(len(b))
				}
				if err == nil {
					copy(v.Slice(0, t.Len()).Bytes(), b)
				}
				return rest, err
			},
		}, nil
	}
	elem, err := c.compile(t.Elem(), at)
	if err != nil {
		return typeCodec{}, err
	}
	return typeCodec{
		append: func(b bounds, dst []byte, v reflect.Value) (_ []byte, err error) {
			dst = AppendArrayLen(dst, t.Len())
			for i := 0; i < t.Len() && err == nil; i++ {
				dst, err = elem.append(b, dst, v.Index(i))
			}
			return dst, err
		},
		decode: func(b bounds, src []byte, v reflect.Value) ([]byte, error) {
			n, src, err := DecodeArrayLen(src)
			if err == nil && n != t.Len() {
				err = wrong(n)
			}
			for i := 0; i < t.Len() && err == nil; i++ {
				src, err = elem.decode(b, src, v.Index(i))
			}
			return src, err
		},
	}, nil
}
