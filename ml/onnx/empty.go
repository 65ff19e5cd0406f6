package onnx

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/ml/op"
)

// Arrays without elements: of integers they are known ones, of floats they stand for
// what can't be computed with, but for the operators of this file.

// noElement stands for an array of floats without elements.
func noElement(shape []int) value {
	return value{index: -1, shape: shape, none: fmt.Sprintf("an array of shape %s, which holds no element", shapeName(shape)), empty: true}
}

// emptyLike is an array without elements of x's type.
func emptyLike(x value, shape []int) value {
	v := noElement(shape)
	if x.dtype != 0 && !isFloat(x.dtype) {
		v = value{index: -1, shape: shape, ints: []int64{}}
	}
	v.dtype = x.dtype
	return v
}

// takesEmpty tells which operators read arrays of floats without elements: those
// that have them for what is left out, those that ask for a type or a shape only, and
// reductions.
func takesEmpty(operator string) bool {
	switch operator {
	case "Resize", "CastLike", "Shape", "Size", "Concat", "CausalConvWithState":
		return true
	}
	return strings.HasPrefix(operator, "Reduce")
}

// keepsEmpty tells which operators make nothing of nothing: those that the
// definitions of reductions consist of.
func keepsEmpty(operator string) bool {
	switch operator {
	case "Abs", "Neg", "Exp", "Log", "Sqrt", "Identity", "Mul", "Cast", "CastLike":
		return true
	}
	return false
}

// ofNothing is what an operator makes of an array without elements.
func (im *importer) ofNothing(in []value) (value, error) {
	v := in[0]
	switch im.node.op {
	case "Mul":
		if !slices.Equal(in[0].shape, in[1].shape) {
			return value{}, fmt.Errorf("%w: %s and %s", ErrUnsupported, shapeName(in[0].shape), shapeName(in[1].shape))
		}
	case "Cast":
		v.dtype = im.attr("to", 0)
	case "CastLike":
		v.dtype = in[1].dtype
	}
	if !isNumber(v.dtype) {
		return value{}, fmt.Errorf("%w: elements of %s", ErrUnsupported, typeName(v.dtype))
	}
	return emptyLike(v, v.shape), nil
}

// reduceEmpty is a reduction of an array without elements, whose result may have
// some.
func (im *importer) reduceEmpty(x value, axes op.Axes) (value, error) {
	var shape []int
	for i, d := range x.shape {
		switch gone := len(axes.Over) == 0 || slices.Contains(axes.Over, i); {
		case !gone:
			shape = append(shape, d)
		case axes.Keep:
			shape = append(shape, 1)
		}
	}
	n := elements(shape)
	if n == 0 {
		return emptyLike(x, shape), nil
	}
	if n > im.left {
		return value{}, im.beyond("an array of shape %s", shapeName(shape))
	}
	var of float32
	switch im.node.op {
	case "ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare":
	case "ReduceProd":
		of = 1
	case "ReduceMax", "ReduceLogSum", "ReduceLogSumExp":
		of = float32(math.Inf(-1))
	case "ReduceMin":
		of = infinity
	default:
		return value{}, fmt.Errorf("%w: of %s, which holds no element", ErrUnsupported, shapeName(x.shape))
	}
	return im.typed(x.dtype)(im.floats("", slices.Repeat([]float32{of}, n), shape))
}
