package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/op"
)

// perAxis gives scales and zero points, of which there is one or one for each
// element of an axis, the shape that broadcasts to x.
func (c *calls) perAxis(x, s value) value {
	if c.err != nil || elements(s.shape) == 1 {
		return c.shaped(s)
	}
	a, err := axis(c.attr("axis", 1), len(x.shape))
	if block := c.attr("block_size", 0); err == nil && block != 0 {
		return c.blocked(x, s, a, block)
	}
	if err == nil && (len(s.shape) != 1 || s.shape[0] != x.shape[a]) {
		err = fmt.Errorf("%w: scales of shape %s for axis %d of %s", ErrUnsupported, shapeName(s.shape), a, shapeName(x.shape))
	}
	if err != nil {
		c.err = err
		return value{}
	}
	shape := slices.Repeat([]int{1}, len(x.shape))
	shape[a] = x.shape[a]
	return c.shaped(s, shape...)
}

// blocked repeats scales, of which there is one for each block of an axis.
func (c *calls) blocked(x, s value, a int, block int64) value {
	n := x.shape[a]
	want := slices.Clone(x.shape)
	if block > 0 && block <= maxSide {
		want[a] = (n + int(block) - 1) / int(block)
	}
	if block < 1 || block > maxSide || !slices.Equal(s.shape, want) {
		c.err = fmt.Errorf("%w: scales of shape %s for blocks of %d along axis %d of %s", ErrFormat, shapeName(s.shape), block, a, shapeName(x.shape))
		return value{}
	}
	index := make([]int32, n)
	for i := range index {
		index[i] = int32(i / int(block))
	}
	return c.do(op.Take{Axis: a, Index: index}, s)
}

// quantize reads QuantizeLinear to integers of 8 or 16 bits.
func quantize(im *importer, in []value) ([]value, error) {
	dtype := im.attr("output_dtype", 0)
	if has(in, 2) {
		dtype = in[2].dtype
	} else if dtype == 0 {
		dtype = typeUint8
	}
	if widths[dtype] > 2 || isFloat(dtype) || dtype == typeBool || !isNumber(dtype) || !isFloat(in[0].dtype) {
		return nil, fmt.Errorf("%w: from %s to %s", ErrUnsupported, typeName(in[0].dtype), typeName(dtype))
	}
	c := &calls{importer: im}
	y := c.do(op.Map{Function: "Round"}, c.do(op.Div{}, in[0], c.perAxis(in[0], in[1])))
	if has(in, 2) {
		y = c.do(op.Add{}, y, c.perAxis(in[0], in[2]))
	}
	return c.clipped(y, dtype)
}

// clipped makes whole numbers those of a type that are nearest.
func (c *calls) clipped(y value, dtype int64) ([]value, error) {
	low, high := limits(dtype)
	y = c.do(op.Clip{Low: float32(low), High: float32(high)}, y)
	y = c.do(op.Exact{Low: float32(low), High: float32(high)}, y) // a NaN is no integer
	y.dtype = dtype
	return c.results(y)
}

// dequantize reads DequantizeLinear.
func dequantize(im *importer, in []value) ([]value, error) {
	if isFloat(in[0].dtype) || !isFloat(in[1].dtype) || has(in, 2) && in[2].dtype != in[0].dtype {
		return nil, fmt.Errorf("%w: from %s by %s", ErrFormat, typeName(in[0].dtype), typeName(in[1].dtype))
	}
	c := &calls{importer: im}
	x := in[0]
	if has(in, 2) {
		x = c.do(op.Sub{}, x, c.perAxis(x, in[2]))
	}
	if c.err == nil && x.isInt() {
		x, c.err = im.asFloats(x)
	}
	y := c.do(op.Mul{}, x, c.perAxis(in[0], in[1]))
	y.dtype = in[1].dtype
	return c.results(y)
}

// compress reads Compress with a known condition.
func compress(im *importer, in []value) ([]value, error) {
	x := in[0]
	if !in[1].isInt() || len(in[1].shape) != 1 {
		return nil, fmt.Errorf("%w: the condition must be a list that is known when the file is read", ErrUnsupported)
	}
	a := 0
	if im.node.attrs["axis"] == nil {
		var err error
		if x, err = im.reshape(x, []int{elements(x.shape)}); err != nil {
			return nil, err
		}
	} else {
		var err error
		if a, err = axis(im.attr("axis", 0), len(x.shape)); err != nil {
			return nil, err
		}
	}
	var index []int32
	for i, yes := range in[1].ints {
		if i < x.shape[a] && yes != 0 {
			index = append(index, int32(i))
		}
	}
	return one(im.apply(op.Take{Axis: a, Index: index}, x))
}

// dynamicQuantize reads DynamicQuantizeLinear: to uint8, by a scale with which the
// least and the largest element, and zero, are in reach.
func dynamicQuantize(im *importer, in []value) ([]value, error) {
	c := &calls{importer: im}
	largest := c.do(op.Clip{Low: 0, High: infinity}, c.do(op.Max{}, in[0]))
	least := c.do(op.Clip{Low: -infinity, High: 0}, c.do(op.Min{}, in[0]))
	scale := c.do(op.Affine{Scale: 1. / 255}, c.do(op.Sub{}, largest, least))
	within := func(x value) value { // zeros alone have no scale, which Exact finds
		return c.do(op.Exact{Low: 0, High: 255}, c.do(op.Clip{Low: 0, High: 255}, x))
	}
	quotient := func(x value) value { return c.do(op.Map{Function: "Round"}, c.do(op.Div{}, x, scale)) }
	zero := within(quotient(c.do(op.Neg{}, least)))
	y := within(c.do(op.Add{}, quotient(in[0]), zero))
	y.dtype, scale.dtype, zero.dtype = typeUint8, typeFloat, typeUint8
	return c.results(y, scale, zero)
}
