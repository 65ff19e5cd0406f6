package encoding

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// typeCodec writes and reads the values of one type. Values are addressable;
// decode is given a zero value.
type typeCodec struct {
	append func(b bounds, dst []byte, v reflect.Value) ([]byte, error)
	decode func(b bounds, src []byte, v reflect.Value) (rest []byte, err error)
}

// compiler makes the codec of a type, or says why there is none: what decides
// that a type can be encoded is what encodes it.
type compiler struct {
	key  bool // of a shuffle: equal keys must have equal encodings
	made map[visit]*typeCodec
	zone *zones
}

// visit is a type at a place.
type visit struct {
	t reflect.Type
	place
}

// place is what matters of where in the user's value a type is.
type place struct {
	// addressable is false in a map, where a method of the pointer is no method.
	addressable bool
	mapKey      bool
}

// compile returns the codec of t, or, with key, an error if t can't be a key.
func compile(t reflect.Type, key bool) (*typeCodec, error) {
	c := compiler{key: key, made: make(map[visit]*typeCodec), zone: newZones()}
	return c.compile(t, place{addressable: true})
}

func (c *compiler) compile(t reflect.Type, at place) (*typeCodec, error) {
	v := visit{t, at}
	if made, ok := c.made[v]; ok {
		return made, nil // perhaps within t: it is whole when the first value comes
	}
	codec := new(typeCodec)
	c.made[v] = codec
	made, err := c.codecOf(t, at)
	if err != nil {
		return nil, err
	}
	*codec = made
	return codec, nil
}

func (c *compiler) codecOf(t reflect.Type, at place) (typeCodec, error) {
	switch {
	case (c.key || at.mapKey) && t == timeType:
		return typeCodec{}, errors.New("a time.Time is no key: equal instants may differ by ==; use its UnixNano")
	case c.key && t.Kind() == reflect.Pointer:
		return typeCodec{}, fmt.Errorf("%s is no key: pointers are compared by address; use what it points to", t)
	}
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Uintptr, reflect.Complex64, reflect.Complex128:
		return typeCodec{}, fmt.Errorf("%s has no encoding", t)
	case reflect.Interface:
		return typeCodec{}, fmt.Errorf("%s is an interface: its values' types would be lost", t)
	}
	if own, err := ownEncoding(t, at.addressable); err != nil {
		return typeCodec{}, err
	} else if own != nil {
		return own.codec(c), nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return c.pointer(t)
	case reflect.Slice:
		return c.slice(t)
	case reflect.Array:
		return c.array(t, at)
	case reflect.Map:
		return c.mapOf(t)
	case reflect.Struct:
		return c.structOf(t, at)
	}
	return basic(t), nil
}

// basic returns the codec of booleans, numbers and strings.
func basic(t reflect.Type) typeCodec {
	switch t.Kind() {
	case reflect.Bool:
		return of(DecodeBool, reflect.Value.SetBool, func(dst []byte, v reflect.Value) []byte { return AppendBool(dst, v.Bool()) })
	case reflect.Float32:
		decode := func(src []byte) (float64, []byte, error) {
			f, rest, err := DecodeFloat32(src)
			return float64(f), rest, err
		}
		return of(decode, reflect.Value.SetFloat, func(dst []byte, v reflect.Value) []byte { return AppendFloat32(dst, float32(v.Float())) })
	case reflect.Float64:
		return of(DecodeFloat64, reflect.Value.SetFloat, func(dst []byte, v reflect.Value) []byte { return AppendFloat64(dst, v.Float()) })
	case reflect.String: // a copy, since a user keeps records for longer than a block should stay
		set := func(v reflect.Value, s string) { v.SetString(strings.Clone(s)) }
		return of(DecodeString, set, func(dst []byte, v reflect.Value) []byte { return AppendString(dst, v.String()) })
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		decode := func(src []byte) (int64, []byte, error) {
			n, rest, err := DecodeInt(src)
			if err == nil && t.OverflowInt(n) {
				err = fmt.Errorf("%w: %d doesn't fit in %s", ErrCorrupt, n, t)
			}
			return n, rest, err
		}
		return of(decode, reflect.Value.SetInt, func(dst []byte, v reflect.Value) []byte { return AppendInt(dst, v.Int()) })
	}
	decode := func(src []byte) (uint64, []byte, error) {
		n, rest, err := DecodeUint(src)
		if err == nil && t.OverflowUint(n) {
			err = fmt.Errorf("%w: %d doesn't fit in %s", ErrCorrupt, n, t)
		}
		return n, rest, err
	}
	return of(decode, reflect.Value.SetUint, func(dst []byte, v reflect.Value) []byte { return AppendUint(dst, v.Uint()) })
}

// of returns a codec of functions that know no bounds.
func of[V any](decode func([]byte) (V, []byte, error), set func(reflect.Value, V), appended func([]byte, reflect.Value) []byte) typeCodec {
	return typeCodec{
		append: func(_ bounds, dst []byte, v reflect.Value) ([]byte, error) { return appended(dst, v), nil },
		decode: func(_ bounds, src []byte, v reflect.Value) ([]byte, error) {
			x, rest, err := decode(src)
			if err == nil {
				set(v, x)
			}
			return rest, err
		},
	}
}
