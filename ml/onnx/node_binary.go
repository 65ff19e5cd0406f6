package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// sameTypes refuses operands of two types.
func sameTypes(in ...value) error {
	for _, v := range in {
		if v.dtype != in[0].dtype {
			return fmt.Errorf("%w: operands of %s and %s", ErrFormat, typeName(in[0].dtype), typeName(v.dtype))
		}
	}
	return nil
}

// operands are two that broadcast. In opset 6 the second one's axes lie where the
// attribute axis says, and only if broadcast says so.
func (im *importer) operands(in []value) (a, b value, err error) {
	a, b = in[0], in[1]
	if im.opset > 6 || im.node.attrs["axis"] == nil || slices.Equal(a.shape, b.shape) {
		return a, b, nil
	}
	at, err := axis(im.attr("axis", 0), len(a.shape))
	if err != nil {
		return a, b, err
	}
	behind := len(a.shape) - at - len(b.shape)
	if behind < 0 {
		return a, b, fmt.Errorf("%w: axis %d for %s and %s", ErrFormat, at, shapeName(a.shape), shapeName(b.shape))
	}
	b, err = im.reshape(b, append(slices.Clone(b.shape), slices.Repeat([]int{1}, behind)...))
	return a, b, err
}

// arithmetic reads operators of two inputs that broadcast.
func arithmetic(im *importer, in []value) ([]value, error) {
	a, b, err := im.operands(in)
	if err != nil {
		return nil, err
	}
	if im.node.op != "Pow" {
		if err := sameTypes(a, b); err != nil {
			return nil, err
		}
	}
	if a.isInt() && b.isInt() {
		return im.intArithmetic(im.node.op, a, b)
	}
	whole := !isFloat(a.dtype)
	switch im.node.op {
	case "Add":
		return one(im.apply(op.Add{}, a, b))
	case "Sub":
		return one(im.apply(op.Sub{}, a, b))
	case "Mul":
		return one(im.apply(op.Mul{}, a, b))
	case "Div":
		if whole {
			return one(im.apply(op.Zip{Function: "DivInt"}, a, b))
		}
		return one(im.apply(op.Div{}, a, b))
	case "Mod":
		if im.attr("fmod", 0) != 0 {
			return one(im.apply(op.Zip{Function: "Fmod"}, a, b))
		}
		if !whole && im.opset < 28 {
			return nil, fmt.Errorf("%w: floats without the attribute fmod", ErrFormat)
		}
		return one(im.apply(op.Zip{Function: "Mod"}, a, b))
	}
	if whole {
		return one(im.apply(op.Zip{Function: "PowInt"}, a, b))
	}
	if b, err = im.asFloat(b); err != nil {
		return nil, err
	}
	if d := im.data(b); d != nil && d.Shape().TotalSize() == 1 && len(b.shape) <= len(a.shape) {
		return one(im.apply(op.PowScalar{Exponent: d.Float32s()[0]}, a))
	}
	return one(im.apply(op.Pow{}, a, b))
}

// asFloat takes known integers for floats.
func (im *importer) asFloat(x value) (value, error) {
	if x.isInt() {
		return im.asFloats(x)
	}
	return x, nil
}

// intArithmetic computes with known integers, which broadcast.
func (im *importer) intArithmetic(operator string, a, b value) ([]value, error) {
	shape, err := commonShape(a.shape, b.shape)
	if err != nil {
		return nil, err
	}
	for _, v := range []*value{&a, &b} {
		if slices.Equal(v.shape, shape) {
			continue
		}
		y, err := im.move(op.BroadcastTo{Shape: shape}, []value{*v}, nil)
		if err != nil {
			return nil, err
		}
		v.ints = y[0].ints
	}
	if elements(shape) > maxInts {
		return nil, tooManyInts(elements(shape))
	}
	out := make([]int64, len(a.ints))
	for i, x := range a.ints {
		if out[i], err = calculate(operator, x, b.ints[i], im.attr("fmod", 0) != 0); err != nil {
			return nil, err
		}
	}
	if operator == "ShiftLeft" {
		if a.dtype == typeUint64 && slices.ContainsFunc(out, func(v int64) bool { return v < 0 }) {
			return nil, fmt.Errorf("%w: numbers shifted to the left, of which int64 can't hold one", ErrUnsupported)
		}
		out = wrapped(out, a.dtype)
	}
	return []value{{index: -1, shape: shape, ints: out}}, nil
}

// calculate is arithmetic with two integers.
func calculate(operator string, x, y int64, fmod bool) (int64, error) {
	switch operator {
	case "Add":
		return x + y, nil
	case "Sub":
		return x - y, nil
	case "Mul":
		return x * y, nil
	case "BitwiseAnd":
		return x & y, nil
	case "BitwiseOr":
		return x | y, nil
	case "BitwiseXor":
		return x ^ y, nil
	case "ShiftLeft":
		return x << uint64(y), nil // by less than 0 it is 0, as of all bits
	case "ShiftRight":
		return x >> uint64(y), nil
	case "Pow":
		if p := math.Pow(float64(x), float64(y)); y >= 0 && math.Abs(p) < 1<<53 {
			return int64(p), nil
		}
		return 0, fmt.Errorf("%w: %d to the power of %d", ErrUnsupported, x, y)
	}
	if y == 0 {
		return 0, fmt.Errorf("%w: a division by 0", ErrFormat)
	}
	if operator == "Div" {
		return x / y, nil
	}
	m := x % y
	if !fmod && m != 0 && (m < 0) != (y < 0) {
		m += y
	}
	return m, nil
}

// commonShape is the shape that both broadcast to.
func commonShape(a, b []int) ([]int, error) {
	out, err := op.Add{}.Outputs([]nn.Spec{nn.FloatSpec(a...), nn.FloatSpec(b...)})
	if err != nil {
		return nil, err
	}
	return out[0].Shape, nil
}

// compared reads comparisons and what combines truth values.
func compared(im *importer, in []value) ([]value, error) {
	a, b, err := im.operands(in)
	if err != nil {
		return nil, err
	}
	if err := sameTypes(a, b); err != nil {
		return nil, err
	}
	switch im.node.op {
	case "And", "Or", "Xor":
		if a.dtype != typeBool {
			return nil, fmt.Errorf("%w: it combines %s, want bool", ErrFormat, typeName(a.dtype))
		}
	}
	return im.truths(im.apply(op.Zip{Function: im.node.op}, a, b))
}

// truths is one result of truth values.
func (im *importer) truths(v value, err error) ([]value, error) {
	return one(im.typed(typeBool)(v, err))
}

// bitwise reads what combines the bits of integers.
func bitwise(im *importer, in []value) ([]value, error) {
	if err := sameTypes(in...); err != nil {
		return nil, err
	}
	if isFloat(in[0].dtype) {
		return nil, fmt.Errorf("%w: bits of %s", ErrFormat, typeName(in[0].dtype))
	}
	f := im.node.op
	if f == "BitShift" {
		switch d := im.attrString("direction", ""); d {
		case "LEFT":
			f = "ShiftLeft"
		case "RIGHT":
			f = "ShiftRight"
		default:
			return nil, fmt.Errorf("%w: direction %q", ErrFormat, d)
		}
	}
	if in[0].isInt() && in[1].isInt() {
		return im.intArithmetic(f, in[0], in[1])
	}
	return one(im.apply(op.Zip{Function: f}, in...))
}

// choose reads Where.
func choose(im *importer, in []value) ([]value, error) {
	if in[0].dtype != typeBool {
		return nil, fmt.Errorf("%w: the condition is %s, want bool", ErrFormat, typeName(in[0].dtype))
	}
	if err := sameTypes(in[1:]...); err != nil {
		return nil, err
	}
	return one(im.typed(in[1].dtype)(im.apply(op.Select{}, in...)))
}

// variadic reads Min, Max, Sum and Mean of any number of inputs.
func variadic(im *importer, in []value) ([]value, error) {
	if err := sameTypes(in...); err != nil {
		return nil, err
	}
	var o nn.Op = op.Add{}
	switch im.node.op {
	case "Min":
		o = op.Minimum{}
	case "Max":
		o = op.Maximum{}
	}
	y := in[0]
	for _, x := range in[1:] {
		var err error
		if y, err = im.apply(o, y, x); err != nil {
			return nil, err
		}
	}
	if im.node.op == "Mean" {
		return one(im.scale(y, 1/float32(len(in))))
	}
	return []value{y}, nil
}
