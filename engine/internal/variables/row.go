package variables

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"

	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/keyed"
)

// Layout is the name of the values' type in files: that they are data of variables.
const Layout = "variables"

// Row is the key of a row: a variable of a key, or a part of it.
type Row[K comparable] struct {
	Key   K
	Of    string // tag of the variable
	Entry string // encoding of the part's number or key, "" for the variable itself
}

// Bytes returns how many bytes a row and its data refer to.
func Bytes[K comparable](r Row[K], data []byte) int64 {
	n := len(r.Entry) + cap(data)
	if s, is := any(r.Key).(string); is {
		n += len(s)
	}
	return int64(n)
}

// Codec returns the codec of the rows of variables of keys of type K.
func Codec[K comparable](held []*Variable) (keyed.Codec[Row[K], []byte], error) {
	c := keyed.Codec[Row[K], []byte]{Value: dataCodec{}, KeyType: reflect.TypeFor[K]().String(), ValueType: Layout}
	key, err := encoding.ForKey[K]()
	if err != nil {
		return c, fmt.Errorf("keyed state of %s: %w", c.KeyType, err)
	}
	tags := make(map[string]string, len(held))
	for _, v := range held {
		tags[v.tag] = v.tag
	}
	c.Key = rowCodec[K]{key, tags}
	return c, nil
}

// rowCodec writes rows as arrays of the key, the tag and the entry.
type rowCodec[K comparable] struct {
	key  encoding.Codec[K]
	tags map[string]string // by themselves: those that are known take no memory of their own
}

// Append implements encoding.Codec.
func (c rowCodec[K]) Append(dst []byte, r Row[K]) ([]byte, error) {
	n := 3
	if r.Entry == "" {
		n = 2
	}
	dst, err := c.key.Append(encoding.AppendArrayLen(dst, n), r.Key)
	if err != nil {
		return dst, err
	}
	return append(encoding.AppendString(dst, r.Of), r.Entry...), nil
}

// Decode implements encoding.Codec.
func (c rowCodec[K]) Decode(src []byte) (r Row[K], rest []byte, err error) {
	n, rest, err := encoding.DecodeArrayLen(src)
	if err != nil || n != 2 && n != 3 {
		return r, rest, cmp.Or(err, fmt.Errorf("%w: a row of %d parts", encoding.ErrCorrupt, n))
	}
	if r.Key, rest, err = c.key.Decode(rest); err != nil {
		return r, rest, err
	}
	if r.Of, rest, err = encoding.DecodeString(rest); err != nil {
		return r, rest, err
	}
	if known, is := c.tags[r.Of]; is {
		r.Of = known
	} else {
		r.Of = strings.Clone(r.Of)
	}
	if n == 3 {
		r.Entry, rest = string(rest), nil
	}
	return r, rest, nil
}

// dataCodec writes data, which are encodings, as they are.
type dataCodec struct{}

// Append implements encoding.Codec.
func (dataCodec) Append(dst, data []byte) ([]byte, error) { return append(dst, data...), nil }

// Decode implements encoding.Codec. A change has one piece of data, to its end.
func (dataCodec) Decode(src []byte) (data, rest []byte, err error) { return src, nil, nil }

// KeysOf returns the Keys of rows.
func KeysOf[K comparable](c keyed.Codec[Row[K], []byte]) keyed.Keys[Row[K]] {
	keys := keyed.KeysOf(c.Key.(rowCodec[K]).key)
	text := keyed.KeysOf[string](nil).Hash // that of strings needs no codec
	return keyed.Keys[Row[K]]{
		Hash: func(r Row[K]) uint64 {
			h := (keys.Hash(r.Key) ^ text(r.Of)) * 0x9e3779b97f4a7c15
			if r.Entry == "" {
				return h
			}
			return (h ^ h>>32 ^ text(r.Entry)) * 0xd6e8feb86659fd93
		},
		Compare: func(a, b Row[K]) int {
			if a.Key != b.Key {
				if c := keys.Compare(a.Key, b.Key); c != 0 {
					return c
				}
			}
			return cmp.Or(strings.Compare(a.Of, b.Of), strings.Compare(a.Entry, b.Entry))
		},
	}
}
