package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// calls applies operations until one fails; the later ones do nothing.
type calls struct {
	*importer
	err error
}

func (c *calls) do(o nn.Op, in ...value) (v value) {
	if c.err == nil {
		v, c.err = c.apply(o, in...)
	}
	return v
}

func (c *calls) shaped(x value, shape ...int) (v value) {
	if c.err == nil {
		v, c.err = c.reshape(x, shape)
	}
	return v
}

// number is a constant.
func (c *calls) number(f float32) (v value) {
	if c.err == nil {
		v, c.err = c.floats("", []float32{f}, nil)
	}
	return v
}

func (c *calls) results(v ...value) ([]value, error) {
	if c.err != nil {
		return nil, c.err
	}
	return v, nil
}

// sameFor refuses weights that don't broadcast to the array.
func (c *calls) sameFor(what string, w, x value) {
	if c.err == nil && !broadcasts(w.shape, x.shape) {
		c.err = fmt.Errorf("%w: %s has the shape %s, which doesn't broadcast to %s", ErrFormat, what, shapeName(w.shape), shapeName(x.shape))
	}
}

// layerNorm reads LayerNormalization.
func layerNorm(im *importer, in []value) ([]value, error) {
	x := in[0]
	a, err := axis(im.attr("axis", -1), len(x.shape))
	if err != nil {
		return nil, err
	}
	c := &calls{importer: im}
	eps := im.attrFloat("epsilon", 1e-5)
	rows := c.shaped(x, elements(x.shape[:a]), elements(x.shape[a:]))
	y := c.shaped(c.do(op.Standardize{Eps: eps}, rows), x.shape...)
	c.sameFor("scale", in[1], y)
	y = c.do(op.Mul{}, y, in[1])
	if has(in, 2) {
		c.sameFor("B", in[2], y)
		y = c.do(op.Add{}, y, in[2])
	}
	if len(im.node.outputs) < 2 {
		return c.results(y)
	}
	kept := slices.Clone(x.shape)
	for i := a; i < len(kept); i++ {
		kept[i] = 1
	}
	over := op.Axes{Over: []int{1}, Keep: true}
	mean := c.do(op.Mean{Axes: over}, rows)
	variance := c.do(op.Mean{Axes: over}, c.do(op.Square{}, c.do(op.Sub{}, rows, mean)))
	inverse := c.do(op.Map{Function: "Reciprocal"}, c.do(op.Sqrt{}, c.do(op.Affine{Scale: 1, Shift: eps}, variance)))
	return c.results(y, c.shaped(mean, kept...), c.shaped(inverse, kept...))
}

// rmsNorm reads RMSNormalization.
func rmsNorm(im *importer, in []value) ([]value, error) {
	x := in[0]
	a, err := axis(im.attr("axis", -1), len(x.shape))
	if err != nil {
		return nil, err
	}
	var over []int
	for i := a; i < len(x.shape); i++ {
		over = append(over, i)
	}
	c := &calls{importer: im}
	mean := c.do(op.Mean{Axes: op.Axes{Over: over, Keep: true}}, c.do(op.Square{}, x))
	root := c.do(op.Sqrt{}, c.do(op.Affine{Scale: 1, Shift: im.attrFloat("epsilon", 1e-5)}, mean))
	y := c.do(op.Div{}, x, root)
	c.sameFor("scale", in[1], y)
	return c.results(c.do(op.Mul{}, y, in[1]))
}

// groupNorm reads InstanceNormalization, where each channel is a group, and
// GroupNormalization.
func groupNorm(im *importer, in []value) ([]value, error) {
	x := in[0]
	if len(x.shape) < 2 {
		return nil, fmt.Errorf("%w: x has the shape %s, want (N, C, ...)", ErrFormat, shapeName(x.shape))
	}
	n, channels := x.shape[0], x.shape[1]
	groups := int(im.attr("num_groups", int64(channels)))
	if groups < 1 || groups > channels || channels%groups != 0 {
		return nil, fmt.Errorf("%w: %d channels in %d groups", ErrFormat, channels, groups)
	}
	c := &calls{importer: im}
	y := c.do(op.Standardize{Eps: im.attrFloat("epsilon", 1e-5)}, c.shaped(x, n*groups, elements(x.shape)/(n*groups)))
	if im.node.op == "GroupNormalization" && im.opset < 21 { // one scale for each group
		y = c.shaped(y, n, groups, elements(x.shape)/(n*groups))
		channels = groups
	} else {
		y = c.shaped(y, n, channels, elements(x.shape)/(n*channels))
	}
	for i, o := range []nn.Op{op.Mul{}, op.Add{}} {
		w := in[1+i]
		if !slices.Equal(w.shape, []int{channels}) {
			return nil, fmt.Errorf("%w: input %d has the shape %s, want (%d)", ErrFormat, 1+i, shapeName(w.shape), channels)
		}
		y = c.do(o, y, c.shaped(w, channels, 1))
	}
	return c.results(c.shaped(y, x.shape...))
}

// meanVarianceNorm reads MeanVarianceNormalization.
func meanVarianceNorm(im *importer, in []value) ([]value, error) {
	list := im.attrInts("axes")
	if list == nil {
		list = []int64{0, 2, 3}
	}
	over, err := axesOf(list, len(in[0].shape))
	if err != nil {
		return nil, err
	}
	c := &calls{importer: im}
	axes := op.Axes{Over: over, Keep: true}
	d := c.do(op.Sub{}, in[0], c.do(op.Mean{Axes: axes}, in[0]))
	root := c.do(op.Sqrt{}, c.do(op.Mean{Axes: axes}, c.do(op.Square{}, d)))
	return c.results(c.do(op.Div{}, d, c.do(op.Affine{Scale: 1, Shift: 1e-9}, root)))
}

// lpNorm reads LpNormalization: an axis divided by its length; zeros stay.
func lpNorm(im *importer, in []value) ([]value, error) {
	a, err := axis(im.attr("axis", -1), len(in[0].shape))
	if err != nil {
		return nil, err
	}
	c := &calls{importer: im}
	axes := op.Axes{Over: []int{a}, Keep: true}
	var length value
	switch p := im.attr("p", 2); p {
	case 1:
		length = c.do(op.Sum{Axes: axes}, c.do(op.Abs{}, in[0]))
	case 2:
		length = c.do(op.Sqrt{}, c.do(op.Sum{Axes: axes}, c.do(op.Square{}, in[0])))
	default:
		return nil, fmt.Errorf("%w: p is %d, want 1 or 2", ErrFormat, p)
	}
	return c.results(c.do(op.Select{}, length, c.do(op.Div{}, in[0], length), c.number(0)))
}

// lrn reads LRN. Chainer's operation has the scale for the sum, ONNX for the mean.
func lrn(im *importer, in []value) ([]value, error) {
	n := im.attr("size", 0)
	if n < 1 || n > maxSide || n%2 == 0 {
		return nil, fmt.Errorf("%w: size %d, want an odd one", ErrUnsupported, n)
	}
	return one(im.apply(op.LocalResponseNorm{N: int(n), K: im.attrFloat("bias", 1), Alpha: im.attrFloat("alpha", 1e-4) / float32(n),
		Beta: im.attrFloat("beta", 0.75)}, in[0]))
}
