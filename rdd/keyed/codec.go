package keyed

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"reflect"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

// Codec writes the entries of tables to files and reads them.
type Codec[K comparable, V any] struct {
	Key   encoding.Codec[K]
	Value encoding.Codec[V]

	// The names of the types, which a file says. A program may read what it wrote as long
	// as it has the same names.
	KeyType, ValueType string
}

// CodecFor returns the Codec of two types, with their names in Go, or an error that says
// why there is none.
func CodecFor[K comparable, V any]() (Codec[K, V], error) {
	c := Codec[K, V]{KeyType: reflect.TypeFor[K]().String(), ValueType: reflect.TypeFor[V]().String()}
	var err error
	if c.Key, err = encoding.ForKey[K](); err != nil {
		return c, fmt.Errorf("keyed state of %s: %w", c.KeyType, err)
	}
	if c.Value, err = encoding.For[V](); err != nil {
		return c, fmt.Errorf("keyed state of %s: %w", c.ValueType, err)
	}
	return c, nil
}

// Change is an entry that was put, or a key that was removed, as it lies in a file: with
// encodings of the key and of the value.
type Change struct {
	Key, Value []byte
	Stamp      int64
	Removed    bool
}

// appendTo appends a change, with its stamp as the difference to the one before it.
func (c *Change) appendTo(dst []byte, before int64) []byte {
	dst = append(binary.AppendUvarint(dst, uint64(len(c.Key))), c.Key...)
	if !c.Removed {
		dst = append(binary.AppendUvarint(dst, uint64(len(c.Value))), c.Value...)
	}
	return binary.AppendVarint(dst, c.Stamp-before)
}

// cut reads what appendTo wrote and returns what follows it. Whether it is a removal is
// known.
func (c *Change) cut(src []byte, before int64) (rest []byte, ok bool) {
	if c.Key, rest, ok = cutBytes(src); !ok {
		return nil, false
	}
	if c.Value = nil; !c.Removed {
		if c.Value, rest, ok = cutBytes(rest); !ok {
			return nil, false
		}
	}
	after, n := binary.Varint(rest)
	if n <= 0 {
		return nil, false
	}
	c.Stamp = before + after
	return rest[n:], true
}

// cutBytes returns the bytes behind their length, and what follows them.
func cutBytes(src []byte) (b, rest []byte, ok bool) {
	length, n := binary.Uvarint(src)
	if n <= 0 || length > uint64(len(src)-n) {
		return nil, nil, false
	}
	end := n + int(length)
	return src[n:end:end], src[end:], true
}

// encoder makes changes of entries.
type encoder[K comparable, V any] struct {
	codec  Codec[K, V]
	change Change
}

// put returns the change of an entry, good until the next.
func (e *encoder[K, V]) put(k K, v V, stamp int64) (*Change, error) {
	if _, err := e.removed(k, stamp); err != nil {
		return nil, err
	}
	var err error
	e.change.Removed = false
	if e.change.Value, err = e.codec.Value.Append(e.change.Value[:0], v); err != nil {
		return nil, fmt.Errorf("the value of key %.100v: %w", k, err)
	}
	return &e.change, nil
}

// removed returns the change of a key that was removed, good until the next.
func (e *encoder[K, V]) removed(k K, stamp int64) (*Change, error) {
	var err error
	e.change.Stamp, e.change.Removed = stamp, true
	if e.change.Key, err = e.codec.Key.Append(e.change.Key[:0], k); err != nil {
		return nil, fmt.Errorf("the key %.100v: %w", k, err)
	}
	return &e.change, nil
}

// decoder makes entries of changes. They share no memory with these.
type decoder[K comparable, V any] struct {
	codec                   Codec[K, V]
	keyRefers, valuesRefers bool
}

func newDecoder[K comparable, V any](c Codec[K, V]) decoder[K, V] {
	return decoder[K, V]{c, encoding.Refers(reflect.TypeFor[K]()), encoding.Refers(reflect.TypeFor[V]())}
}

func (d *decoder[K, V]) key(c *Change) (K, error) {
	k, err := decode(d.codec.Key, c.Key, d.keyRefers)
	if err != nil {
		return k, fmt.Errorf("%w: a key: %w", ErrCorrupt, err)
	}
	return k, nil
}

func (d *decoder[K, V]) value(k K, c *Change) (V, error) {
	v, err := decode(d.codec.Value, c.Value, d.valuesRefers)
	if err != nil {
		return v, fmt.Errorf("%w: the value of key %.100v: %w", ErrCorrupt, k, err)
	}
	return v, nil
}

// decode decodes all of b. What refers to memory gets its own, since it may alias what it
// is decoded from, and is kept for long.
func decode[T any](codec encoding.Codec[T], b []byte, refers bool) (T, error) {
	if refers {
		b = bytes.Clone(b)
	}
	v, rest, err := codec.Decode(b)
	return v, cmp.Or(err, leftOver(rest))
}
