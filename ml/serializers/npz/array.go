package npz

import (
	"errors"
	"fmt"
	"slices"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrFormat says that the bytes are not a well-formed .npy or .npz.
	ErrFormat = errors.New("malformed npy data")
	// ErrTooLarge says that a file declares more than the Limits allow.
	ErrTooLarge = errors.New("npy data larger than the limit")
	// ErrType says that an array holds another type than the caller asked for.
	ErrType = errors.New("npy array of another type")
)

// DType is the element type of an array as the file states it.
type DType uint8

// The element types that can be read. Float16 is widened to float32 when it
// is read. Object marks a pickled Python object: its entry is listed, so that
// the rest of a file stays readable, but it is never unpickled.
const (
	Invalid DType = iota
	Float16
	Float32
	Float64
	Int8
	Int16
	Int32
	Int64
	Uint8
	Uint16
	Uint32
	Uint64
	Bool
	Unicode
	Bytes
	Object
)

// String gives NumPy's name of the type.
func (t DType) String() string {
	names := [...]string{"invalid", "float16", "float32", "float64", "int8", "int16", "int32", "int64",
		"uint8", "uint16", "uint32", "uint64", "bool", "unicode", "bytes", "object"}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("dtype(%d)", uint8(t))
}

// Array is one array of a file, its elements in C (row-major) order whatever
// order the file had.
type Array struct {
	// Type is the element type in the file.
	Type DType
	// Shape holds the dimensions; it is empty for a 0-d array, which has one
	// element.
	Shape []int
	// Data holds the elements: []float32 (Float16 and Float32), []float64,
	// []int8 to []int64, []uint8 to []uint64, []bool, []string (Unicode and
	// Bytes) or nil (Object).
	Data any
}

// Element lists the Go types that an array may be made of.
type Element interface {
	float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | bool | string
}

// NewArray wraps data, which is not copied, as an array of the given shape. It
// fails when the shape does not hold len(data) elements.
func NewArray[T Element](shape []int, data []T) (Array, error) {
	n, err := elements(shape)
	if err != nil {
		return Array{}, err
	}
	if n != len(data) {
		return Array{}, fmt.Errorf("%w: shape %v holds %d elements, not %d", ErrFormat, shape, n, len(data))
	}
	return Array{Type: typeOf(data), Shape: slices.Clone(shape), Data: data}, nil
}

// Scalar makes a 0-d array.
func Scalar[T Element](v T) Array {
	data := []T{v}
	return Array{Type: typeOf(data), Data: data}
}

func typeOf(data any) DType {
	switch data.(type) {
	case []float32:
		return Float32
	case []float64:
		return Float64
	case []int8:
		return Int8
	case []int16:
		return Int16
	case []int32:
		return Int32
	case []int64:
		return Int64
	case []uint8:
		return Uint8
	case []uint16:
		return Uint16
	case []uint32:
		return Uint32
	case []uint64:
		return Uint64
	case []bool:
		return Bool
	case []string:
		return Unicode
	}
	return Invalid
}

// Len is the number of elements.
func (a Array) Len() int {
	n := 1
	for _, d := range a.Shape {
		n *= d
	}
	return n
}

// Float32s gives the elements as float32. Floats and integers are converted;
// float32 data is returned without a copy.
func (a Array) Float32s() ([]float32, error) {
	if f, ok := a.Data.([]float32); ok {
		return f, nil
	}
	return convert[float32](a)
}

// Float64s gives the elements as float64, converting floats and integers.
func (a Array) Float64s() ([]float64, error) { return convert[float64](a) }

// Int64s gives the elements as int64. Booleans count as 0 and 1; floats are
// refused, since cutting them off would hide a mistake.
func (a Array) Int64s() ([]int64, error) {
	switch a.Type {
	case Float16, Float32, Float64:
		return nil, fmt.Errorf("%w: %s where integers are wanted", ErrType, a.Type)
	}
	return convert[int64](a)
}

// Int gives the one element of an integer or bool array of length one.
func (a Array) Int() (int64, error) { return single(a, a.Int64s) }

// Float gives the one element of a numeric array of length one.
func (a Array) Float() (float64, error) { return single(a, a.Float64s) }

// Text gives the one element of a string array of length one.
func (a Array) Text() (string, error) {
	s, ok := a.Data.([]string)
	if !ok || len(s) != 1 {
		return "", fmt.Errorf("%w: %s %v where one string is wanted", ErrType, a.Type, a.Shape)
	}
	return s[0], nil
}

func single[T any](a Array, all func() ([]T, error)) (zero T, err error) {
	v, err := all()
	if err != nil {
		return zero, err
	}
	if len(v) != 1 {
		return zero, fmt.Errorf("%w: shape %v where one value is wanted", ErrType, a.Shape)
	}
	return v[0], nil
}

func convert[To float32 | float64 | int64](a Array) ([]To, error) {
	switch d := a.Data.(type) {
	case []float32:
		return widen[To](d), nil
	case []float64:
		return widen[To](d), nil
	case []int8:
		return widen[To](d), nil
	case []int16:
		return widen[To](d), nil
	case []int32:
		return widen[To](d), nil
	case []int64:
		return widen[To](d), nil
	case []uint8:
		return widen[To](d), nil
	case []uint16:
		return widen[To](d), nil
	case []uint32:
		return widen[To](d), nil
	case []uint64:
		return widen[To](d), nil
	case []bool:
		out := make([]To, len(d))
		for i, v := range d {
			if v {
				out[i] = 1
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("%w: %s where numbers are wanted", ErrType, a.Type)
}

func widen[To, From float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64](in []From) []To {
	out := make([]To, len(in))
	for i, v := range in {
		out[i] = To(v)
	}
	return out
}
