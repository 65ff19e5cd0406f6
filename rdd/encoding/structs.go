package encoding

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
)

// structField is a field as it is encoded.
type structField struct {
	name      string
	goName    string
	index     []int // of the field, through the structs that are embedded
	omitEmpty bool
	*typeCodec
}

// structFields collects a struct's fields and those of the structs that are
// embedded in it by value.
type structFields struct {
	list    []structField
	names   map[string]int // of the list, by name and alias
	asArray bool
}

// structOf returns the codec of a struct: a map of its fields by name, or an
// array of them where the tag of a field _msgpack asks for that. The tags are
// those of vmihailenco/msgpack.
func (c *compiler) structOf(t reflect.Type, at place) (typeCodec, error) {
	fields, err := c.fieldsOf(t, at)
	if err != nil {
		return typeCodec{}, err
	}
	if fields.asArray {
		return typeCodec{fields.appendArray, fields.decode}, nil
	}
	return typeCodec{fields.appendMap, fields.decode}, nil
}

// fieldsOf returns the fields of a struct as they are encoded.
func (c *compiler) fieldsOf(t reflect.Type, at place) (*structFields, error) {
	fields := &structFields{names: make(map[string]int)}
	if f, ok := t.FieldByName("_msgpack"); ok && len(f.Index) == 1 {
		fields.asArray = tagOf(f).has("as_array") || tagOf(f).has("asArray")
	}
	return fields, c.fields(t, at, fields, nil)
}

// fields adds the fields of a struct, which lies at the given path of indexes
// in the one that is encoded.
func (c *compiler) fields(t reflect.Type, at place, into *structFields, path []int) error {
	omitAll := false
	for i := range t.NumField() {
		f := t.Field(i)
		tag := tagOf(f)
		inlined := f.Anonymous && f.Type.Kind() == reflect.Struct && !tag.has("noinline")
		if f.Name == "_msgpack" {
			omitAll = tag.has("omitempty")
		}
		switch {
		case f.Name == "_" || f.Name == "_msgpack" || f.Type.Size() == 0:
			continue // it holds nothing
		case tag.name == "-" && (c.key || at.mapKey):
			return fmt.Errorf("field %s of %s is left out of the encoding, so keys that differ in it would be counted as one", f.Name, t)
		case tag.name == "-":
			continue // the author says so
		case !f.IsExported() && !inlined:
			return fmt.Errorf("field %s of %s is not exported and would be lost; export it, mark it `msgpack:\"-\"`, or give %s an encoding of its own (MarshalBinary and UnmarshalBinary)", f.Name, t, t)
		}
		index := append(slices.Clone(path), i)
		own, err := ownEncoding(f.Type, at.addressable)
		if err == nil && inlined && own == nil {
			if err := c.fields(f.Type, at, into, index); err != nil {
				return fmt.Errorf("field %s: %w", f.Name, err)
			}
			continue
		}
		if !f.IsExported() {
			return fmt.Errorf("field %s of %s is not exported, so its encoding can't be used", f.Name, t)
		}
		var codec *typeCodec
		if err == nil {
			codec, err = c.compile(f.Type, at)
		}
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		if tag.name == "" {
			tag.name = f.Name
		}
		field := structField{tag.name, f.Name, index, omitAll || tag.has("omitempty"), codec}
		if err := into.add(field, t, tag.aliases()); err != nil {
			return err
		}
	}
	return nil
}

// add adds a field of the struct t.
func (s *structFields) add(f structField, t reflect.Type, aliases []string) error {
	for _, name := range append([]string{f.name}, aliases...) {
		other, taken := s.names[name]
		if taken && other == len(s.list) {
			continue // the field's own name, given as an alias too
		}
		if taken {
			return fmt.Errorf("fields %s and %s of %s are both encoded as %q: name one otherwise with a msgpack tag", s.list[other].goName, f.goName, t, name)
		}
		s.names[name] = len(s.list)
	}
	s.list = append(s.list, f)
	return nil
}

// of returns the field's value in a struct.
func (f *structField) of(v reflect.Value) reflect.Value {
	for _, i := range f.index {
		v = v.Field(i)
	}
	return v
}

func (s *structFields) appendArray(b bounds, dst []byte, v reflect.Value) (_ []byte, err error) {
	dst = AppendArrayLen(dst, len(s.list))
	for i := 0; i < len(s.list) && err == nil; i++ {
		f := &s.list[i]
		dst, err = f.append(b, dst, f.of(v))
	}
	return dst, err
}

func (s *structFields) appendMap(b bounds, dst []byte, v reflect.Value) (_ []byte, err error) {
	n := 0
	for i := range s.list {
		if !s.list[i].omitted(v) {
			n++
		}
	}
	dst = appendMapLen(dst, n)
	for i := 0; i < len(s.list) && err == nil; i++ {
		if f := &s.list[i]; !f.omitted(v) {
			dst, err = f.append(b, AppendString(dst, f.name), f.of(v))
		}
	}
	return dst, err
}

// omitted reports whether the field is left out: only what is zero as a new value
// is, so that an empty slice doesn't come back as nil.
func (f *structField) omitted(v reflect.Value) bool { return f.omitEmpty && isZero(f.of(v)) }

// isZero reports whether v is what a new value is; for reflect a -0 is zero too.
func isZero(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		return math.Float64bits(v.Float()) == 0
	case reflect.Array:
		for i := range v.Len() {
			if !isZero(v.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Struct:
		for i := range v.NumField() {
			if !isZero(v.Field(i)) {
				return false
			}
		}
		return true
	}
	return v.IsZero()
}

// decode reads a struct from either form.
func (s *structFields) decode(b bounds, src []byte, v reflect.Value) ([]byte, error) {
	if len(src) > 0 && !isMap(src[0]) {
		return s.decodeArray(b, src, v)
	}
	n, src, err := decodeMapLen(src)
	for i := 0; i < n && err == nil; i++ {
		var name string
		if name, src, err = DecodeString(src); err != nil {
			break
		}
		at, known := i, i < len(s.list) && s.list[i].name == name
		if !known {
			at, known = s.names[name]
		}
		if !known {
			src, err = Skip(src) // a recorded value's, whose type has changed
			continue
		}
		f := &s.list[at]
		src, err = f.decode(b, src, f.of(v))
	}
	return src, err
}

func (s *structFields) decodeArray(b bounds, src []byte, v reflect.Value) ([]byte, error) {
	n, src, err := DecodeArrayLen(src)
	if err == nil && n != len(s.list) {
		err = fmt.Errorf("%w: %d values for %d fields", ErrCorrupt, n, len(s.list))
	}
	for i := 0; i < len(s.list) && err == nil; i++ {
		f := &s.list[i]
		src, err = f.decode(b, src, f.of(v))
	}
	return src, err
}

// fieldTag is a field's msgpack tag.
type fieldTag struct {
	name    string
	options []string
}

func tagOf(f reflect.StructField) fieldTag {
	name, options, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
	return fieldTag{name, strings.Split(options, ",")}
}

func (t fieldTag) has(option string) bool { return slices.Contains(t.options, option) }

// aliases returns the other names under which the field is read.
func (t fieldTag) aliases() []string {
	var names []string
	for _, o := range t.options {
		if name, ok := strings.CutPrefix(o, "alias:"); ok {
			names = append(names, strings.Trim(name, "'"))
		}
	}
	return names
}
