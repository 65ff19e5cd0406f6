package encoding

import (
	stdencoding "encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// check finds out whether a type's values can be encoded without losing
// anything.
type check struct {
	key  bool // of a shuffle: equal keys must have equal encodings
	seen map[visit]bool
}

// visit is a type at a place that is addressable or not: the values of a map
// aren't, and there a method of the pointer can't be called.
type visit struct {
	t           reflect.Type
	addressable bool
}

// encodable says why values of t can't be encoded, or, with key, why they can't
// be keys; nil if they can.
func encodable(t reflect.Type, key bool) error {
	c := check{key: key, seen: make(map[visit]bool)}
	return c.visit(t, true)
}

func (c *check) visit(t reflect.Type, addressable bool) error {
	v := visit{t, addressable}
	if c.seen[v] {
		return nil
	}
	c.seen[v] = true
	if c.key {
		switch {
		case t == timeType:
			return errors.New("a time.Time is no key: equal instants may differ by ==; use its UnixNano")
		case t.Kind() == reflect.Pointer:
			return fmt.Errorf("%s is no key: pointers are compared by address; use what it points to", t)
		}
	}
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Uintptr, reflect.Complex64, reflect.Complex128:
		return fmt.Errorf("%s has no encoding", t)
	case reflect.Interface:
		return fmt.Errorf("%s is an interface: its values' types would be lost", t)
	}
	if own, err := ownEncoding(t, addressable); own || err != nil {
		return err
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return c.visit(t.Elem(), true)
	case reflect.Array:
		return c.visit(t.Elem(), addressable)
	case reflect.Map:
		return errors.Join(c.visit(t.Key(), false), c.visit(t.Elem(), false))
	case reflect.Struct:
		return c.fields(t, addressable, make(map[string]string))
	}
	return nil
}

// fields checks a struct's fields. names holds what they are called in the
// encoding, together with those of the structs that this one is embedded in.
func (c *check) fields(t reflect.Type, addressable bool, names map[string]string) error {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
		inlined := f.Anonymous && f.Type.Kind() == reflect.Struct && !strings.Contains(options, "noinline")
		switch {
		case f.Name == "_" || f.Name == "_msgpack" || f.Type.Size() == 0:
			continue // it holds nothing
		case name == "-" && c.key:
			return fmt.Errorf("field %s of %s is left out of the encoding, so keys that differ in it would be counted as one", f.Name, t)
		case name == "-":
			continue // the author says so
		case !f.IsExported() && !inlined:
			return fmt.Errorf("field %s of %s is not exported and would be lost; export it, mark it `msgpack:\"-\"`, or give %s an encoding of its own (MarshalBinary and UnmarshalBinary)", f.Name, t, t)
		}
		own, err := ownEncoding(f.Type, addressable)
		if err == nil && inlined && !own && f.Type != timeType {
			if err := c.fields(f.Type, addressable, names); err != nil {
				return fmt.Errorf("field %s: %w", f.Name, err)
			}
			continue
		}
		if !f.IsExported() {
			return fmt.Errorf("field %s of %s is not exported, so its encoding can't be used", f.Name, t)
		}
		if err == nil {
			err = c.visit(f.Type, addressable)
		}
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		if name == "" {
			name = f.Name
		}
		if other, taken := names[name]; taken {
			return fmt.Errorf("fields %s and %s of %s are both encoded as %q: name one otherwise with a msgpack tag", other, f.Name, t, name)
		}
		names[name] = f.Name
	}
	return nil
}

var timeType = reflect.TypeFor[time.Time]()

// The encodings that a type may bring, in the order in which the library looks
// for them.
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

// ownEncoding reports whether a type brings its own encoding, and what is wrong
// with it. The library knows that of time.Time.
func ownEncoding(t reflect.Type, addressable bool) (bool, error) {
	if t == timeType || t.Kind() == reflect.Pointer && t.Elem() == timeType {
		return true, nil
	}
	writes, reads, byPointer := -1, -1, false
	for i := range ownEncoders {
		if writes < 0 && t.Implements(ownEncoders[i]) {
			writes = i
		}
	}
	pointer := reflect.PointerTo(t)
	if writes < 0 && t.Kind() != reflect.Pointer {
		for i := range ownEncoders {
			if writes < 0 && pointer.Implements(ownEncoders[i]) {
				writes, byPointer = i, true
			}
		}
	}
	for i := range ownDecoders {
		if reads < 0 && (t.Implements(ownDecoders[i]) || pointer.Implements(ownDecoders[i])) {
			reads = i
		}
	}
	switch {
	case writes < 0 && reads < 0:
		return false, nil
	case writes < 0:
		return true, fmt.Errorf("%s has %s and not %s", t, methodOf(ownDecoders[reads]), methodOf(ownEncoders[reads]))
	case writes != reads:
		return true, fmt.Errorf("%s has %s and not %s", t, methodOf(ownEncoders[writes]), methodOf(ownDecoders[writes]))
	case byPointer && !addressable:
		return true, fmt.Errorf("%s of %s needs a pointer, which a map's value has not: use *%s", methodOf(ownEncoders[writes]), t, t)
	}
	return true, nil
}

// methodOf names the method of an encoding's interface.
func methodOf(iface reflect.Type) string { return iface.Method(0).Name }
