package encoding

import (
	"bytes"
	stdencoding "encoding"
	"errors"
	"fmt"
	"math/big"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"
)

// The encodings that a type may bring, in the order in which they are preferred.
var (
	ownEncoders = []reflect.Type{
		reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.Marshaler](),
		reflect.TypeFor[stdencoding.BinaryMarshaler](), reflect.TypeFor[stdencoding.TextMarshaler](),
	}
	ownDecoders = []reflect.Type{
		reflect.TypeFor[msgpack.CustomDecoder](), reflect.TypeFor[msgpack.Unmarshaler](),
		reflect.TypeFor[stdencoding.BinaryUnmarshaler](), reflect.TypeFor[stdencoding.TextUnmarshaler](),
	}
)

// own makes the codec of a type with an encoding of its own.
type own struct {
	codec func(c *compiler) typeCodec
}

var bigFloatType = reflect.TypeFor[big.Float]()

// ownEncoding returns the encoding that a type brings, nil if it brings none, or
// what is wrong with it. addressable says whether the type's values are, in the
// user's values: methods of the pointer count if they are.
func ownEncoding(t reflect.Type, addressable bool) (*own, error) {
	switch {
	case t == timeType:
		return &own{func(c *compiler) typeCodec { return times(c.zone) }}, nil
	case t == bigFloatType: // its text has no precision
		return &own{func(*compiler) typeCodec { return ownCodec(t, (*big.Float).GobEncode, (*big.Float).GobDecode) }}, nil
	case t.Kind() == reflect.Pointer:
		return nil, nil // what it points to may
	}
	pointer := reflect.PointerTo(t)
	writes, reads := first(pointer, ownEncoders), first(pointer, ownDecoders)
	switch {
	case writes < 0 && reads < 0 || embeds(t, writes, reads):
		return nil, nil
	case writes < 0:
		return nil, fmt.Errorf("%s has %s and not %s", t, methodOf(ownDecoders[reads]), methodOf(ownEncoders[reads]))
	case writes != reads:
		return nil, fmt.Errorf("%s has %s and not %s", t, methodOf(ownEncoders[writes]), methodOf(ownDecoders[writes]))
	case t.Implements(ownDecoders[reads]):
		return nil, fmt.Errorf("%s of %s isn't a method of the pointer, so what it reads would be lost", methodOf(ownDecoders[reads]), t)
	case !addressable && !t.Implements(ownEncoders[writes]):
		return nil, fmt.Errorf("%s of %s needs a pointer, which a map's value has not: use *%s", methodOf(ownEncoders[writes]), t, t)
	}
	codecs := []func() typeCodec{
		func() typeCodec { return ownCodec(t, encodeMsgpack, decodeMsgpack) },
		func() typeCodec {
			return ownCodec(t, msgpack.Marshaler.MarshalMsgpack, msgpack.Unmarshaler.UnmarshalMsgpack)
		},
		func() typeCodec {
			return ownCodec(t, stdencoding.BinaryMarshaler.MarshalBinary, stdencoding.BinaryUnmarshaler.UnmarshalBinary)
		},
		func() typeCodec {
			return ownCodec(t, stdencoding.TextMarshaler.MarshalText, stdencoding.TextUnmarshaler.UnmarshalText)
		},
	}
	return &own{func(*compiler) typeCodec { return codecs[writes]() }}, nil
}

// first returns the index of the first of the interfaces that t implements, -1 if
// there is none.
func first(t reflect.Type, interfaces []reflect.Type) int {
	for i, iface := range interfaces {
		if t.Implements(iface) {
			return i
		}
	}
	return -1
}

// embeds reports whether a struct's methods may be those of an embedded field,
// which know nothing of the other fields: then it is encoded field by field.
func embeds(t reflect.Type, writes, reads int) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	promotes := func(f reflect.StructField) bool {
		methods := f.Type
		if k := methods.Kind(); k != reflect.Pointer && k != reflect.Interface {
			methods = reflect.PointerTo(methods)
		}
		return f.Anonymous && (writes >= 0 && methods.Implements(ownEncoders[writes]) || reads >= 0 && methods.Implements(ownDecoders[reads]))
	}
	var embedded []reflect.StructField
	others := 0
	for i := range t.NumField() {
		switch f := t.Field(i); {
		case promotes(f):
			embedded = append(embedded, f)
		case f.Type.Size() > 0:
			others++
		}
	}
	if len(embedded) == 0 {
		return false
	}
	// If it is all that there is, its encoding is the struct's, as long as it isn't
	// a pointer that may be nil or a type that is encoded by other means here.
	only := embedded[0].Type
	return len(embedded) > 1 || others > 0 || only.Kind() == reflect.Pointer || only == timeType || only == bigFloatType
}

// methodOf names the method of an encoding's interface.
func methodOf(iface reflect.Type) string { return iface.Method(0).Name }

// ownCodec returns the codec of values that write and read themselves. What they
// write is kept apart from what follows, so that a type which reads something
// else than it wrote harms no other record.
func ownCodec[W, R any](t reflect.Type, write func(W) ([]byte, error), read func(R, []byte) error) typeCodec {
	return typeCodec{
		append: func(_ bounds, dst []byte, v reflect.Value) ([]byte, error) {
			if isNil(v) {
				return append(dst, codeNil), nil
			}
			b, err := write(v.Addr().Interface().(W))
			if err != nil {
				return dst, fmt.Errorf("%s's own encoding: %w", t, err)
			}
			if b == nil {
				b = []byte{}
			}
			return AppendBytes(dst, b), nil
		},
		decode: func(_ bounds, src []byte, v reflect.Value) ([]byte, error) {
			if len(src) > 0 && src[0] == codeNil {
				v.SetZero()
				return src[1:], nil
			}
			b, rest, err := DecodeBytes(src)
			if err != nil {
				return src, err
			}
			if err := read(v.Addr().Interface().(R), b); err != nil {
				return src, fmt.Errorf("%s's own encoding: %w", t, err)
			}
			return rest, nil
		},
	}
}

// errLeftOver says that a type reads less than it wrote.
var errLeftOver = errors.New("not all of what was written is read")

func encodeMsgpack(v msgpack.CustomEncoder) ([]byte, error) {
	var buf bytes.Buffer
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	enc.Reset(&buf)
	err := v.EncodeMsgpack(enc)
	return buf.Bytes(), err
}

func decodeMsgpack(v msgpack.CustomDecoder, b []byte) error {
	r := bytes.NewReader(b)
	dec := msgpack.GetDecoder()
	defer msgpack.PutDecoder(dec)
	dec.Reset(r)
	if err := v.DecodeMsgpack(dec); err != nil {
		return err
	}
	if r.Len() > 0 {
		return errLeftOver
	}
	return nil
}
