package encoding

import (
	"fmt"
	"math"
	"reflect"
)

// maxPointers bounds how many pointers to pointers a type may be.
const maxPointers = math.MaxInt8

// pointer returns the codec of a pointer, or of a pointer to a pointer and so on.
// What they lead to is written as it is. Where they lead to nothing, because one
// of them is nil or the slice or map behind them, it is nil if the first one is,
// else how many aren't.
func (c *compiler) pointer(t reflect.Type) (typeCodec, error) {
	base, levels := t, 0
	for ; base.Kind() == reflect.Pointer; base = base.Elem() {
		if levels++; levels > maxPointers {
			return typeCodec{}, fmt.Errorf("%s has no encoding: it is a pointer to nothing but pointers", t)
		}
	}
	elem, err := c.compile(base, place{addressable: true})
	if err != nil {
		return typeCodec{}, err
	}
	return typeCodec{
		append: func(b bounds, dst []byte, v reflect.Value) ([]byte, error) {
			followed := 0
			for ; followed < levels && !v.IsNil(); followed++ {
				v = v.Elem()
			}
			switch {
			case followed == 0:
				return append(dst, codeNil), nil
			case followed < levels || isNil(v):
				return append(appendExtHead(dst, extPointers, 1), byte(followed)), nil
			}
			b, err := b.enter(len(dst))
			if err != nil {
				return dst, err
			}
			return elem.append(b, dst, v)
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
			followed := levels
			count, rest, nothing := decodeExt(src, extPointers)
			if nothing {
				if len(count) != 1 || count[0] == 0 || int(count[0]) > levels {
					return src, fmt.Errorf("%w: % x as a number of pointers", ErrCorrupt, count)
				}
				followed = int(count[0])
			}
			for range followed {
				v.Set(reflect.New(v.Type().Elem()))
				v = v.Elem()
			}
			if nothing {
				return rest, nil
			}
			return elem.decode(b, src, v)
		},
	}, nil
}

// isNil reports whether v is a slice or a map that is nil.
func isNil(v reflect.Value) bool {
	return (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.IsNil()
}
