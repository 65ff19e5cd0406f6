package encoding

import (
	"fmt"
	"reflect"
)

// ForKey returns the codec of a type by whose values records are grouped: keys
// that are equal (==) have equal encodings, wherever they come from. Types of
// which that isn't so, such as pointers and time.Time, are refused; a type that
// brings its own encoding must see to it itself.
func ForKey[K comparable]() (Codec[K], error) {
	t := reflect.TypeFor[K]()
	if _, err := compile(t, true); err != nil {
		return nil, fmt.Errorf("%w as a key: %s: %w", ErrUnencodable, t, err)
	}
	c, err := For[K]()
	if err != nil || !hasFloat(t) {
		return c, err
	}
	return zeroCodec[K]{c}, nil
}

// zeroCodec writes -0, which equals 0, as 0.
type zeroCodec[K comparable] struct{ Codec[K] }

func (c zeroCodec[K]) Append(dst []byte, v K) ([]byte, error) {
	switch f := any(&v).(type) {
	case *float64:
		*f += 0
	case *float32:
		*f += 0
	default:
		unsignZeros(reflect.ValueOf(&v).Elem())
	}
	return c.Codec.Append(dst, v)
}

// hasFloat reports whether values of a comparable type hold floats.
func hasFloat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Float32, reflect.Float64:
		return true
	case reflect.Array:
		return hasFloat(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if hasFloat(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

// unsignZeros makes each -0 that can be set a 0.
func unsignZeros(v reflect.Value) {
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		if v.CanSet() && v.Float() == 0 {
			v.SetFloat(0)
		}
	case reflect.Array:
		for i := range v.Len() {
			unsignZeros(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			unsignZeros(v.Field(i))
		}
	}
}
