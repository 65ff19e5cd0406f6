package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/op"
)

// Products of integers of 8 bits are computed with float32, whose sums are checked
// to be exact.

// shifted is what quantized integers stand for, without their scale: the zero point,
// one or one for each element of an axis, is taken from them.
func (c *calls) shifted(x value, zero value, axis int) value {
	if zero.none != "" {
		return x
	}
	return c.do(op.Sub{}, x, c.along(zero, len(x.shape), axis))
}

// along gives a number, or a list with one for each element of an axis, the shape
// that broadcasts.
func (c *calls) along(v value, rank, axis int) value {
	switch {
	case c.err != nil || len(v.shape) > 1:
		return v
	case elements(v.shape) == 1:
		return c.shaped(v)
	case axis < 0 || axis >= rank:
		c.err = fmt.Errorf("%w: %s numbers for an axis of %d", ErrFormat, shapeName(v.shape), rank)
		return v
	}
	shape := slices.Repeat([]int{1}, rank)
	shape[axis] = v.shape[0]
	return c.shaped(v, shape...)
}

// exact multiplies integers: what the sums of the sizes can reach is exact, so is
// every sum on the way.
func (c *calls) exact(x, w value, product func(x, w value) (value, error)) value {
	if c.err != nil {
		return value{}
	}
	var size, y value
	if size, c.err = product(c.do(op.Abs{}, x), c.do(op.Abs{}, w)); c.err != nil {
		return value{}
	}
	if y, c.err = product(x, w); c.err != nil || y.isInt() {
		return y
	}
	return c.do(op.Minimum{}, y, c.do(op.Exact{Low: 0, High: op.MaxExact}, size)) // |y| is at most size
}

// optional is an input, or nothing where it is left out.
func optional(in []value, i int) value {
	if i < len(in) {
		return in[i]
	}
	return nothing("left out")
}

// whole8 refuses operands that aren't integers of 8 bits.
func whole8(in ...value) error {
	for _, v := range in {
		if v.none == "" && v.dtype != typeInt8 && v.dtype != typeUint8 {
			return fmt.Errorf("%w: operands of %s, want int8 or uint8", ErrUnsupported, typeName(v.dtype))
		}
	}
	return nil
}

// matMulInteger reads MatMulInteger.
func matMulInteger(im *importer, in []value) ([]value, error) {
	c := &calls{importer: im}
	y := c.intMatMul(in[0], optional(in, 2), in[1], optional(in, 3))
	y.dtype = typeInt32
	return c.results(y)
}

// intMatMul multiplies matrices, with a zero point for each row of the first and
// each column of the second.
func (c *calls) intMatMul(a, aZero, b, bZero value) value {
	if c.err = whole8(a, aZero, b, bZero); c.err != nil {
		return value{}
	}
	x, w := c.shifted(a, aZero, len(a.shape)-2), c.shifted(b, bZero, len(b.shape)-1)
	return c.exact(x, w, func(x, w value) (value, error) { return only(matMul(c.importer, []value{x, w})) })
}

// only is the one result of a reader.
func only(out []value, err error) (value, error) {
	if err != nil {
		return value{}, err
	}
	return out[0], nil
}

// convInteger reads ConvInteger.
func convInteger(im *importer, in []value) ([]value, error) {
	c := &calls{importer: im}
	y := c.intConv(in[0], optional(in, 2), in[1], optional(in, 3), nil)
	y.dtype = typeInt32
	return c.results(y)
}

// intConv convolves, with a zero point for each output channel; what is padded
// stands for 0.
func (c *calls) intConv(x, xZero, w, wZero value, bias []value) value {
	if c.err = whole8(x, xZero, w, wZero); c.err != nil {
		return value{}
	}
	x, w = c.shifted(x, xZero, -1), c.shifted(w, wZero, 0)
	y := c.exact(x, w, func(x, w value) (value, error) { return only(conv(c.importer, []value{x, w})) })
	for _, b := range bias {
		y = c.do(op.Add{}, y, c.along(b, len(y.shape), 1))
	}
	return y
}

// qLinearMatMul reads QLinearMatMul.
func qLinearMatMul(im *importer, in []value) ([]value, error) {
	c := &calls{importer: im}
	y := c.intMatMul(in[0], in[2], in[3], in[5])
	r := len(y.shape)
	scale := c.do(op.Div{}, c.do(op.Mul{}, c.along(in[1], r, r-2), c.along(in[4], r, r-1)), c.along(in[6], r, r-2))
	return c.requantized(y, scale, c.along(in[7], r, r-2), in[7].dtype)
}

// qLinearConv reads QLinearConv.
func qLinearConv(im *importer, in []value) ([]value, error) {
	c := &calls{importer: im}
	y := c.intConv(in[0], in[2], in[3], in[5], in[8:])
	r := len(y.shape)
	scale := c.do(op.Div{}, c.do(op.Mul{}, c.along(in[1], r, -1), c.along(in[4], r, 1)), c.along(in[6], r, -1))
	return c.requantized(y, scale, c.along(in[7], r, -1), in[7].dtype)
}

// requantized are integers of 8 bits again: scaled, rounded and clipped.
func (c *calls) requantized(y, scale, zero value, dtype int64) ([]value, error) {
	if c.err == nil {
		c.err = whole8(value{dtype: dtype})
	}
	if c.err == nil && y.isInt() {
		y, c.err = c.asFloats(y)
	}
	return c.clipped(c.do(op.Add{}, c.do(op.Map{Function: "Round"}, c.do(op.Mul{}, y, scale)), zero), dtype)
}
