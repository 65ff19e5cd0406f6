package encoding

import (
	"errors"
	"fmt"
	"reflect"
)

// mapOf returns the codec of a map; nil and empty ones stay apart, and keys that
// aren't equal to themselves stay as many as they were.
func (c *compiler) mapOf(t reflect.Type) (typeCodec, error) {
	key, err := c.compile(t.Key(), place{mapKey: true})
	elem, err2 := c.compile(t.Elem(), place{})
	if err := errors.Join(err, err2); err != nil {
		return typeCodec{}, err
	}
	return typeCodec{
		append: func(b bounds, dst []byte, v reflect.Value) ([]byte, error) {
			if v.IsNil() {
				return append(dst, codeNil), nil
			}
			b, err := b.enter(len(dst))
			dst = appendMapLen(dst, v.Len())
			k, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			for entries := v.MapRange(); err == nil && entries.Next(); {
				k.SetIterKey(entries)
				e.SetIterValue(entries)
				if dst, err = key.append(b, dst, k); err == nil {
					dst, err = elem.append(b, dst, e)
				}
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
			n, src, err := decodeMapLen(src)
			if err != nil {
				return src, err
			}
			m := reflect.MakeMapWithSize(t, min(n, len(src)/2, 1024)) // an entry takes two bytes at least
			for range n {
				k, e := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
				if src, err = key.decode(b, src, k); err != nil {
					return src, err
				}
				if src, err = elem.decode(b, src, e); err != nil {
					return src, err
				}
				m.SetMapIndex(k, e)
			}
			if m.Len() != n {
				return src, fmt.Errorf("%w: %d keys of a %s are %d when read: some that differed are equal", ErrCorrupt, n, t, m.Len())
			}
			v.Set(m)
			return src, nil
		},
	}, nil
}
