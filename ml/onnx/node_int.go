package onnx

import (
	"fmt"
	"math"
)

// maxInts bounds a list of integers that a node makes: shapes, axes, indices.
const maxInts = 1 << 16

// maxAllInts bounds those of all nodes together.
const maxAllInts = 1 << 22

// ints is a result that is a list of integers.
func ints(v []int64) ([]value, error) {
	if len(v) > maxInts {
		return nil, tooManyInts(len(v))
	}
	if v == nil {
		v = []int64{}
	}
	return []value{{index: -1, shape: []int{len(v)}, ints: v, dtype: typeInt64}}, nil
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
		if d < 0 {
			return nil, fmt.Errorf("%w: an array of shape %v", ErrFormat, list)
		}
		if d > int64(im.left/max(1, n)) {
			return nil, im.beyond("an array of shape %v", list)
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
		return []value{{index: -1, shape: shape, ints: out, dtype: t.dtype}}, nil
	}
	if n == 0 {
		return []value{emptyLike(value{dtype: t.dtype}, shape)}, nil
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
	return one(im.typed(t.dtype)(im.floats("", out, shape)))
}

// size reads Size.
func size(_ *importer, in []value) ([]value, error) {
	return []value{{index: -1, shape: []int{}, ints: []int64{int64(elements(in[0].shape))}, dtype: typeInt64}}, nil
}

// span reads Range, of known numbers.
func span(im *importer, in []value) ([]value, error) {
	if in[0].dtype != in[1].dtype || in[0].dtype != in[2].dtype {
		return nil, fmt.Errorf("%w: start, limit and delta are %s, %s and %s", ErrFormat, typeName(in[0].dtype), typeName(in[1].dtype), typeName(in[2].dtype))
	}
	var v [3]float64
	for i, x := range in {
		switch {
		case x.isInt() && len(x.ints) == 1:
			v[i] = float64(x.ints[0])
		case im.data(x) != nil && elements(x.shape) == 1:
			v[i] = float64(im.data(x).Float32s()[0])
		default:
			return nil, fmt.Errorf("%w: input %d must be one number that is known when the file is read", ErrUnsupported, i)
		}
	}
	n := math.Ceil((v[1] - v[0]) / v[2])
	if !(n >= 1 && n <= maxInts) {
		return nil, fmt.Errorf("%w: a range of %v numbers", ErrUnsupported, n)
	}
	if in[0].isInt() {
		out := make([]int64, int(n))
		for i := range out {
			out[i] = in[0].ints[0] + int64(i)*in[2].ints[0]
		}
		return []value{{index: -1, shape: []int{len(out)}, ints: out}}, nil
	}
	out := make([]float32, int(n))
	for i := range out {
		out[i] = float32(v[0] + float64(i)*v[2])
	}
	return one(im.floats("", out, []int{len(out)}))
}
