package onnx

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/nn"
)

// maxInts bounds a list of integers that a node makes: shapes, axes, indices.
const maxInts = 1 << 16

// maxAllInts bounds those of all nodes together.
const maxAllInts = 1 << 22

// ints is a result that is a list of integers.
func ints(v []int64) ([]value, error) {
	if len(v) > maxInts {
		return nil, fmt.Errorf("%w: %d integers", ErrTooLarge, len(v))
	}
	if v == nil {
		v = []int64{}
	}
	return []value{{index: -1, shape: []int{len(v)}, ints: v}}, nil
}

// shapeOf reads Shape.
func shapeOf(im *importer, in []value) ([]value, error) {
	s := in[0].shape
	rank := int64(len(s))
	at := func(v int64) int64 {
		if v < 0 {
			v += rank
		}
		return max(0, min(v, rank))
	}
	start, end := at(im.attr("start", 0)), rank
	if im.node.attrs["end"] != nil {
		end = at(im.attr("end", 0))
	}
	var out []int64
	for i := start; i < end; i++ {
		out = append(out, int64(s[i]))
	}
	return ints(out)
}

// constantOfShape reads ConstantOfShape.
func constantOfShape(im *importer, in []value) ([]value, error) {
	list, _, err := im.list(in, 0, "")
	if err != nil {
		return nil, err
	}
	if len(list) > maxRank {
		return nil, fmt.Errorf("%w: %d dimensions", ErrUnsupported, len(list))
	}
	shape, n := make([]int, len(list)), 1
	for i, d := range list {
		if d < 1 || d > int64(im.left/n) {
			return nil, fmt.Errorf("%w: an array of shape %v", ErrTooLarge, list)
		}
		shape[i] = int(d)
		n *= int(d)
	}
	t := &tensorProto{dtype: typeFloat, floats: []float32{0}, dims: []int64{1}}
	if a := im.node.attrs["value"]; a != nil && a.t != nil {
		t = a.t
	}
	if !t.float() {
		v, _, err := t.int64s()
		if err != nil || len(v) != 1 || n > maxInts {
			return nil, fmt.Errorf("%w: %d integers: %v", ErrUnsupported, n, err)
		}
		out := make([]int64, n)
		for i := range out {
			out[i] = v[0]
		}
		return []value{{index: -1, shape: shape, ints: out}}, nil
	}
	v, _, err := t.float32s()
	if err != nil {
		return nil, err
	}
	if len(v) != 1 {
		return nil, fmt.Errorf("%w: the value has %d elements", ErrFormat, len(v))
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = v[0]
	}
	return one(im.floats("", out, shape))
}

// intArithmetic computes with lists of integers of one length, or a list and one
// number.
func intArithmetic(operator string, a, b value) ([]value, error) {
	n := max(len(a.ints), len(b.ints))
	if len(a.shape) > 1 || len(b.shape) > 1 || len(a.ints) != n && len(a.ints) != 1 || len(b.ints) != n && len(b.ints) != 1 {
		return nil, fmt.Errorf("%w: integers of shapes %s and %s", ErrUnsupported, nn.FormatShape(a.shape), nn.FormatShape(b.shape))
	}
	out := make([]int64, n)
	for i := range out {
		x, y := a.ints[i%len(a.ints)], b.ints[i%len(b.ints)]
		switch operator {
		case "Add":
			out[i] = x + y
		case "Sub":
			out[i] = x - y
		case "Mul":
			out[i] = x * y
		case "Div":
			if y == 0 {
				return nil, fmt.Errorf("%w: a division by 0", ErrFormat)
			}
			out[i] = x / y
		default:
			return nil, fmt.Errorf("%w with integers", ErrUnsupported)
		}
	}
	shape := a.shape
	if len(b.ints) > len(a.ints) || len(b.shape) > len(a.shape) {
		shape = b.shape
	}
	return []value{{index: -1, shape: shape, ints: out}}, nil
}
