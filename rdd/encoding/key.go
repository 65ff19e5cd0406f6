package encoding

import (
	"fmt"
	"math"
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

// zeroCodec writes -0, which equals 0, as 0, and every NaN as the same one: NaN is
// one key.
type zeroCodec[K comparable] struct{ Codec[K] }

func (c zeroCodec[K]) Append(dst []byte, v K) ([]byte, error) {
	switch f := any(&v).(type) {
	case *float64:
		*f = oneZero(*f)
	case *float32:
		*f = oneZero(*f)
	default:
		oneZeros(reflect.ValueOf(&v).Elem())
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

// oneZero returns the one zero and the one NaN that keys hold.
func oneZero[F float32 | float64](f F) F {
	if f != f {
		return F(math.NaN())
	}
	return f + 0
}

// oneZeros makes each float that can be set what oneZero returns.
func oneZeros(v reflect.Value) {
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		if v.CanSet() {
			v.SetFloat(oneZero(v.Float()))
		}
	case reflect.Array:
		for i := range v.Len() {
			oneZeros(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			oneZeros(v.Field(i))
		}
	}
}
