package nn

import (
	"fmt"
	"slices"
	"strings"

	"gorgonia.org/tensor"
)

// Element is what an array may hold: float32 values, int32 labels and tokens,
// bool conditions.
type Element interface{ float32 | int32 | bool }

// NewArray makes an array of the given shape over data, row-major, without
// copying it. No shape makes a scalar. The number of elements must fit and no
// dimension may be empty.
func NewArray[T Element](data []T, shape ...int) (*tensor.Dense, error) {
	if err := checkDims(shape); err != nil {
		return nil, err
	}
	if n := sizeOf(shape); n != len(data) {
		return nil, ShapeErrorf("shape %s holds %d elements, got %d", FormatShape(shape), n, len(data))
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data)), nil
}

// Zeros makes a float32 array of zeros. No dimension may be empty.
func Zeros(shape ...int) (*tensor.Dense, error) {
	if err := checkDims(shape); err != nil {
		return nil, err
	}
	return NewArray(make([]float32, sizeOf(shape)), shape...)
}

// Floats returns the elements of a float32 array, nil for any other. The slice
// shares the array's memory.
func Floats(a *tensor.Dense) []float32 {
	if a == nil || a.Dtype() != tensor.Float32 {
		return nil
	}
	return a.Float32s()
}

// Ints returns the elements of an int32 array, nil for any other. The slice
// shares the array's memory.
func Ints(a *tensor.Dense) []int32 {
	if a == nil || a.Dtype() != tensor.Int32 {
		return nil
	}
	return a.Int32s()
}

// Bools returns the elements of a bool array, nil for any other. The slice
// shares the array's memory.
func Bools(a *tensor.Dense) []bool {
	if a == nil || a.Dtype() != tensor.Bool {
		return nil
	}
	return a.Bools()
}

// FormatShape writes a shape as in messages: "(32, 784)", "()" for a scalar.
func FormatShape(shape []int) string {
	var b strings.Builder
	b.WriteByte('(')
	for i, d := range shape {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, d)
	}
	b.WriteByte(')')
	return b.String()
}

// Spec is the shape and element type of an array that may not exist yet.
type Spec struct {
	Shape tensor.Shape
	Dtype tensor.Dtype
}

// FloatSpec is the Spec of a float32 array.
func FloatSpec(shape ...int) Spec { return Spec{tensor.Shape(shape), tensor.Float32} }

// SpecOf returns an array's shape and element type. The shape is shared.
func SpecOf(a *tensor.Dense) Spec { return Spec{a.Shape(), a.Dtype()} }

// Size is the number of elements, 1 for a scalar.
func (s Spec) Size() int { return sizeOf(s.Shape) }

// Equal tells whether shape and element type are the same. Unlike Gorgonia's
// Shape.Eq it distinguishes a scalar from an array of one element.
func (s Spec) Equal(t Spec) bool { return s.Dtype == t.Dtype && slices.Equal(s.Shape, t.Shape) }

// String writes the shape, and the element type unless it is float32.
func (s Spec) String() string {
	if s.Dtype == tensor.Float32 {
		return FormatShape(s.Shape)
	}
	return s.Dtype.String() + FormatShape(s.Shape)
}

func sizeOf(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// maxElements bounds an array to what an int32 can index, so that sizes from
// hostile shapes neither overflow nor exhaust memory.
const maxElements = 1<<31 - 1

func checkDims(shape []int) error {
	n := 1
	for _, d := range shape {
		if d < 1 {
			return ShapeErrorf("shape %s has an empty dimension", FormatShape(shape))
		}
		if n > maxElements/d {
			return ShapeErrorf("shape %s is larger than %d elements", FormatShape(shape), maxElements)
		}
		n *= d
	}
	return nil
}

// adopt checks that an array is of a kind that operations understand and
// returns it row-major and dense; a view with strides is copied.
func adopt(a *tensor.Dense) (*tensor.Dense, error) {
	if a == nil {
		return nil, ValueErrorf("array is nil")
	}
	switch a.Dtype() {
	case tensor.Float32, tensor.Int32, tensor.Bool:
	default:
		return nil, ShapeErrorf("arrays hold float32, int32 or bool, got %v", a.Dtype())
	}
	if err := checkDims(a.Shape()); err != nil {
		return nil, err
	}
	if a.RequiresIterator() || a.DataOrder().IsColMajor() {
		m, ok := a.Materialize().(*tensor.Dense)
		if !ok || m.RequiresIterator() || m.DataOrder().IsColMajor() {
			return nil, ShapeErrorf("array of shape %s is not row-major", FormatShape(a.Shape()))
		}
		a = m
	}
	return a, nil
}
