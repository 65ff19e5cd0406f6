package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// mapped reads operators that are a function of each element.
func mapped(im *importer, in []value) ([]value, error) {
	name := im.node.op
	o := op.Map{Function: name}
	switch name {
	case "Celu":
		o.A = im.attrFloat("alpha", 1)
	case "Selu":
		o.A, o.B = im.attrFloat("alpha", 1.67326319217681884765625), im.attrFloat("gamma", 1.05070102214813232421875)
	case "Shrink":
		o.A, o.B = im.attrFloat("bias", 0), im.attrFloat("lambd", 0.5)
	case "ThresholdedRelu", "Swish":
		o.A = im.attrFloat("alpha", 1)
	case "Gelu":
		switch a := im.attrString("approximate", "none"); a {
		case "none":
		case "tanh":
			o.Function = "GeluTanh"
		default:
			return nil, fmt.Errorf("%w: approximate %q", ErrFormat, a)
		}
	case "IsInf":
		o.A, o.B = float32(im.attr("detect_positive", 1)), float32(im.attr("detect_negative", 1))
		return im.truths(im.apply(o, in[0]))
	case "IsNaN":
		return im.truths(im.apply(o, in[0]))
	case "Not":
		if in[0].dtype != typeBool {
			return nil, fmt.Errorf("%w: not of %s, want bool", ErrFormat, typeName(in[0].dtype))
		}
	}
	return one(im.apply(o, in[0]))
}

// swiGLU reads SwiGLU: a gate times what it lets pass, as a Swish does.
func swiGLU(im *importer, in []value) ([]value, error) {
	if !slices.Equal(in[0].shape, in[1].shape) {
		return nil, fmt.Errorf("%w: A has the shape %s, B %s", ErrFormat, shapeName(in[0].shape), shapeName(in[1].shape))
	}
	gate, err := im.apply(op.Map{Function: "Swish", A: im.attrFloat("alpha", 1)}, in[0])
	if err != nil {
		return nil, err
	}
	return one(im.apply(op.Mul{}, gate, in[1]))
}

// triangle reads Trilu: the upper or the lower triangle of matrices.
func triangle(im *importer, in []value) ([]value, error) {
	x := in[0]
	k := int64(0)
	if has(in, 1) {
		if !in[1].isInt() || len(in[1].ints) != 1 {
			return nil, fmt.Errorf("%w: input 1 must be one integer that is known when the file is read", ErrUnsupported)
		}
		k = in[1].ints[0]
	}
	if len(x.shape) < 2 {
		return nil, fmt.Errorf("%w: matrices of shape %s", ErrFormat, shapeName(x.shape))
	}
	m, n := x.shape[len(x.shape)-2], x.shape[len(x.shape)-1]
	upper := im.attr("upper", 1) != 0
	kept := make([]float32, m*n)
	for i := range kept {
		d := int64(i%n) - int64(i/n)
		if upper && d >= k || !upper && d <= k {
			kept[i] = 1
		}
	}
	return one(im.chosen(kept, []int{m, n}, x))
}

// chosen keeps elements where a known condition isn't 0, and makes the others 0.
func (im *importer) chosen(kept []float32, shape []int, x value) (value, error) {
	condition, zero := value{index: -1, shape: shape, ints: make([]int64, len(kept))}, value{index: -1, shape: []int{}, ints: []int64{0}}
	for i, f := range kept {
		condition.ints[i] = int64(f)
	}
	if !x.isInt() {
		var err error
		if condition, err = im.constantOf(condition); err != nil {
			return value{}, err
		}
		if zero, err = im.constantOf(zero); err != nil {
			return value{}, err
		}
	}
	return im.apply(op.Select{}, condition, x, zero)
}

// chain applies operations of one input one after another.
func (im *importer) chain(x value, ops ...nn.Op) (value, error) {
	for _, o := range ops {
		var err error
		if x, err = im.apply(o, x); err != nil {
			return value{}, err
		}
	}
	return x, nil
}
