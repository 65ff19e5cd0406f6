package rdd

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

// csvColumn is a column that a field of a struct is read from.
type csvColumn struct {
	name  string
	field int
	set   func(field reflect.Value, text string) error
}

// csvColumnsOf returns the columns of a struct's fields.
func csvColumnsOf(t reflect.Type) (columns []csvColumn, err error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%w: records of CSV are read into a struct, not a %s", ErrArgument, t)
	}
	fields := make(map[string]string) // by column
	for i := range t.NumField() {
		f := t.Field(i)
		name, tagged := f.Tag.Lookup("csv")
		if name == "-" || !f.IsExported() && !tagged {
			continue
		}
		if name == "" {
			name = f.Name
		}
		set := setterOf(f.Type)
		switch {
		case !f.IsExported():
			return nil, fmt.Errorf("%w: field %s of %s has a tag and isn't exported", ErrArgument, f.Name, t)
		case set == nil:
			return nil, fmt.Errorf("%w: field %s of %s is a %s, which a column can't be read into; leave it out with csv:\"-\" or give it a method UnmarshalText", ErrArgument, f.Name, t, f.Type)
		case fields[name] != "":
			return nil, fmt.Errorf("%w: fields %s and %s of %s are both column %q", ErrArgument, fields[name], f.Name, t, name)
		}
		fields[name] = f.Name
		columns = append(columns, csvColumn{name, i, set})
	}
	if len(columns) == 0 {
		return nil, fmt.Errorf("%w: %s has no exported field to read a column into", ErrArgument, t)
	}
	return columns, nil
}

// setterOf returns what reads a text into a value of a type, nil if nothing does.
func setterOf(t reflect.Type) func(reflect.Value, string) error {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return func(v reflect.Value, s string) error {
			return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s))
		}
	}
	switch t.Kind() {
	case reflect.String:
		return func(v reflect.Value, s string) error { v.SetString(s); return nil }
	case reflect.Bool:
		return func(v reflect.Value, s string) error {
			b, err := strconv.ParseBool(s)
			v.SetBool(b)
			return plainly(err, t)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(v reflect.Value, s string) error {
			n, err := strconv.ParseInt(s, 10, t.Bits())
			v.SetInt(n)
			return plainly(err, t)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return func(v reflect.Value, s string) error {
			n, err := strconv.ParseUint(s, 10, t.Bits())
			v.SetUint(n)
			return plainly(err, t)
		}
	case reflect.Float32, reflect.Float64:
		return func(v reflect.Value, s string) error {
			x, err := strconv.ParseFloat(s, t.Bits())
			v.SetFloat(x)
			return plainly(err, t)
		}
	case reflect.Pointer:
		return pointerSetter(t.Elem())
	}
	return nil
}

// pointerSetter returns what reads a text into a new value, and nothing into nil.
func pointerSetter(t reflect.Type) func(reflect.Value, string) error {
	set := setterOf(t)
	if set == nil {
		return nil
	}
	return func(v reflect.Value, s string) error {
		if s == "" {
			return nil
		}
		to := reflect.New(t)
		v.Set(to)
		return set(to.Elem(), s)
	}
}

// plainly returns an error of package strconv without the name of the function, with that of
// the type.
func plainly(err error, t reflect.Type) error {
	if n, ok := errors.AsType[*strconv.NumError](err); ok {
		return Permanent(fmt.Errorf("%q is no %s: %w", n.Num, t, n.Err))
	}
	return err
}
