package encoding

import "reflect"

// Refers reports whether values of a type refer to memory outside of them.
func Refers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return false
	case reflect.Array:
		return Refers(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if Refers(t.Field(i).Type) {
				return true
			}
		}
		return false
	}
	return true
}
