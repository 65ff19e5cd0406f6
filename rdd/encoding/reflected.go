package encoding

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// reflected is the codec of any other type, by vmihailenco/msgpack.
type reflected[T any] struct{}

func (reflected[T]) Append(dst []byte, v T) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	enc := msgpack.GetEncoder()
	defer msgpack.PutEncoder(enc)
	enc.Reset(buf)
	if err := enc.Encode(v); err != nil {
		return dst, fmt.Errorf("encoding %T: %w", v, err)
	}
	return buf.Bytes(), nil
}

func (reflected[T]) Decode(src []byte) (v T, rest []byte, err error) {
	r := bytes.NewReader(src)
	dec := msgpack.GetDecoder()
	defer msgpack.PutDecoder(dec)
	dec.Reset(r)
	if err := dec.Decode(&v); err != nil {
		return v, src, fmt.Errorf("%w: decoding %T: %w", ErrCorrupt, v, err)
	}
	return v, src[len(src)-r.Len():], nil
}

// encodable reports why values of T can't be encoded, or nil.
func encodable[T any]() error {
	return checkType(reflect.TypeFor[T](), map[reflect.Type]bool{})
}

func checkType(t reflect.Type, seen map[reflect.Type]bool) error {
	if seen[t] {
		return nil
	}
	seen[t] = true
	if custom(t) || custom(reflect.PointerTo(t)) {
		return nil
	}
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Uintptr, reflect.Complex64, reflect.Complex128:
		return fmt.Errorf("%s has no encoding", t)
	case reflect.Interface:
		return fmt.Errorf("%s is an interface: its values' types would be lost", t)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return checkType(t.Elem(), seen)
	case reflect.Map:
		return errors.Join(checkType(t.Key(), seen), checkType(t.Elem(), seen))
	case reflect.Struct:
		return checkStruct(t, seen)
	}
	return nil
}

func checkStruct(t reflect.Type, seen map[reflect.Type]bool) error {
	fields := 0
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Tag.Get("msgpack") == "-" || (!f.IsExported() && !f.Anonymous) {
			continue
		}
		fields++
		if err := checkType(f.Type, seen); err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	if fields == 0 && t.NumField() > 0 {
		return fmt.Errorf("%s has no exported field", t)
	}
	return nil
}

// custom reports whether a type brings its own encoding.
func custom(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[msgpack.CustomEncoder]()) || t.Implements(reflect.TypeFor[msgpack.Marshaler]()) ||
		t == reflect.TypeFor[*time.Time]()
}
