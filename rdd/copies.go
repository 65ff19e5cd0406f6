package rdd

import (
	"reflect"
	"slices"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

// copiesOf returns what makes copies of a value, in any goroutine, that share nothing with
// it or with each other: who gets one may change it.
func copiesOf[T any](v T) (next func() (T, error), err error) {
	if isFlat(reflect.TypeFor[T]()) {
		return func() (T, error) { return v, nil }, nil
	}
	codec, err := encoding.For[T]()
	if err != nil {
		return nil, err
	}
	encoded, err := codec.Append(nil, v)
	if err != nil {
		return nil, err
	}
	next = func() (T, error) {
		c, _, err := codec.Decode(slices.Clone(encoded)) // the copy may alias it
		return c, err
	}
	_, err = next()
	return next, err
}

// isFlat reports whether an assignment copies all that can be changed of a type's values.
func isFlat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return isFlat(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !isFlat(t.Field(i).Type) {
				return false
			}
		}
		return true
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return false
	}
	return true
}
