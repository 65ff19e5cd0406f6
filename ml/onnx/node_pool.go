package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// pooling is a node that is being read: of volumes, first the images and then the
// planes are pooled, since what a window counts is the product of what its axes do.
type pooling struct {
	*importer
	average, withPad, up bool
}

// pool reads MaxPool, AveragePool and LpPool.
func pool(im *importer, in []value) ([]value, error) {
	x := in[0]
	if x.isInt() {
		return nil, fmt.Errorf("%w: known integers", ErrUnsupported)
	}
	if len(x.shape) < 3 || len(x.shape) > 5 {
		return nil, fmt.Errorf("%w: x has shape %s, want (N, C) and one to three axes", ErrUnsupported, shapeName(x.shape))
	}
	if len(im.node.outputs) > 1 && im.node.outputs[1] != "" {
		return nil, fmt.Errorf("%w: the output Indices", ErrUnsupported)
	}
	if im.attrInts("kernel_shape") == nil {
		return nil, fmt.Errorf("%w: attribute kernel_shape is missing", ErrFormat)
	}
	kernel, err := im.sizes("kernel_shape", len(x.shape)-2)
	if err != nil {
		return nil, err
	}
	g, err := im.slide(x.shape[2:], kernel)
	if err != nil {
		return nil, err
	}
	if mode := im.attrString("auto_pad", "NOTSET"); mode == "SAME_UPPER" || mode == "SAME_LOWER" {
		for i, n := range x.shape[2:] {
			if skips(n, g.kernel[i], g.stride[i]) {
				return nil, fmt.Errorf("%w: auto_pad %q with windows that leave elements out, which runtimes place differently; export it with pads", ErrUnsupported, mode)
			}
		}
	}
	p := pooling{im, im.node.op != "MaxPool", im.attr("count_include_pad", 0) != 0, im.attr("ceil_mode", 0) != 0}
	if im.node.op == "LpPool" {
		return one(p.lp(x, g))
	}
	return one(p.over(x, g))
}

// lp is the p-norm of each window: its mean times its size.
func (p pooling) lp(x value, g slide) (value, error) {
	e := p.attr("p", 2)
	if e < 1 || p.up {
		return value{}, fmt.Errorf("%w: p %d, ceil_mode %t", ErrUnsupported, e, p.up)
	}
	x, err := p.chain(x, op.Abs{}, op.PowScalar{Exponent: float32(e)})
	if err != nil {
		return value{}, err
	}
	p.withPad = true
	y, err := p.over(x, g)
	if err != nil {
		return value{}, err
	}
	return p.chain(y, op.Affine{Scale: float32(elements(g.kernel))}, op.PowScalar{Exponent: 1 / float32(e)})
}

// over pools all axes behind (N, C).
func (p pooling) over(x value, g slide) (value, error) {
	switch len(g.kernel) {
	case 1:
		x, err := p.liftOne(x)
		if err != nil {
			return value{}, err
		}
		return p.dropOne(p.over(x, g.behindOne()))
	case 2:
		return p.images(x, g)
	}
	s := x.shape
	y, err := p.reshape(x, []int{s[0], s[1] * s[2], s[3], s[4]})
	if err == nil {
		y, err = p.images(y, g.from(1))
	}
	if err != nil {
		return value{}, err
	}
	h, w := y.shape[2], y.shape[3]
	if y, err = p.reshape(y, []int{s[0], s[1], s[2], h * w}); err == nil {
		first := g.until(1)
		y, err = p.images(y, slide{append(slices.Clone(first.kernel), 1), append(slices.Clone(first.stride), 1), append(slices.Clone(first.dilation), 1),
			append(slices.Clone(first.before), 0), append(slices.Clone(first.after), 0)})
	}
	if err != nil {
		return value{}, err
	}
	return p.reshape(y, []int{s[0], s[1], y.shape[2], h, w})
}

// images pools images.
func (p pooling) images(x value, g slide) (value, error) {
	if max(g.dilation[0], g.dilation[1]) > 1 {
		return p.apart(x, g)
	}
	for i, k := range g.kernel {
		if max(g.before[i], g.after[i]) >= k {
			return value{}, fmt.Errorf("%w: pads %v and %v, which a window of %v doesn't reach over", ErrUnsupported, g.before, g.after, g.kernel)
		}
	}
	w := op.Window{KH: g.kernel[0], KW: g.kernel[1], StrideH: g.stride[0], StrideW: g.stride[1], PadH: g.before[0], PadW: g.before[1],
		OutH: pooled(x.shape[2], g, 0, p.up), OutW: pooled(x.shape[3], g, 1, p.up)}
	if w.OutH < 1 || w.OutW < 1 {
		return value{}, fmt.Errorf("%w: a window of %v is larger than images of %s", ErrFormat, g.kernel, shapeName(x.shape))
	}
	if !p.average {
		return p.apply(op.MaxPool2D{Window: w}, x)
	}
	if p.withPad && g.padded() { // it becomes a part of the image
		var err error
		if x, err = p.around(x, g, 0); err != nil {
			return value{}, err
		}
		w.PadH, w.PadW = 0, 0
	}
	return p.apply(op.AvgPool2D{Window: w, ExcludePad: true}, x)
}

// apart pools windows whose elements aren't side by side: it puts them there.
func (p pooling) apart(x value, g slide) (value, error) {
	fill := float32(math.Inf(-1))
	if p.average {
		fill = 0
	}
	var out [2]int
	padded := slide{before: slices.Clone(g.before), after: slices.Clone(g.after)}
	for i, n := range x.shape[2:] {
		wide := slide{kernel: []int{(g.kernel[i]-1)*g.dilation[i] + 1}, stride: g.stride[i : i+1], before: g.before[i : i+1], after: g.after[i : i+1]}
		if out[i] = pooled(n, wide, 0, p.up); out[i] < 1 {
			return value{}, fmt.Errorf("%w: a window of %v is larger than images of %s", ErrFormat, g.kernel, shapeName(x.shape))
		}
		if out[i] > p.left/g.kernel[i] {
			return value{}, p.beyond("an axis of %d windows of %d elements", out[i], g.kernel[i])
		}
		padded.after[i] = max(padded.after[i], (out[i]-1)*g.stride[i]+wide.kernel[0]-n-g.before[i])
	}
	gather := func(x value, fill float32) (value, error) {
		x, err := p.around(x, padded, fill)
		for i := range out {
			var index []int32
			for o := range out[i] {
				for k := range g.kernel[i] {
					index = append(index, int32(o*g.stride[i]+k*g.dilation[i]))
				}
			}
			if err == nil {
				x, err = p.apply(op.Take{Axis: 2 + i, Index: index}, x)
			}
		}
		if err != nil {
			return value{}, err
		}
		w := op.Window{KH: g.kernel[0], KW: g.kernel[1], StrideH: g.kernel[0], StrideW: g.kernel[1]}
		var o nn.Op = op.MaxPool2D{Window: w}
		if p.average {
			o = op.AvgPool2D{Window: w}
		}
		return p.apply(o, x)
	}
	y, err := gather(x, fill)
	if err != nil || !p.average || !g.padded() && !p.up {
		return y, err
	}
	if p.withPad && p.up {
		return value{}, fmt.Errorf("%w: dilations, ceil_mode and count_include_pad together", ErrUnsupported)
	}
	if p.withPad {
		return y, nil
	}
	size := []int{1, 1, x.shape[2], x.shape[3]}
	ones, err := p.floats("", slices.Repeat([]float32{1}, elements(size)), size)
	if err == nil {
		ones, err = gather(ones, 0)
	}
	if err != nil {
		return value{}, err
	}
	return p.apply(op.Div{}, y, ones)
}

// skips tells whether windows that are SAME reach less far than n elements.
func skips(n, k, stride int) bool { return ((n+stride-1)/stride-1)*stride+k < n }

// pooled is the number of windows on axis i of n elements. Rounded up, a last window
// that would begin behind the elements is left out.
func pooled(n int, g slide, i int, up bool) int {
	span, stride := n+g.before[i]+g.after[i]-g.kernel[i], g.stride[i]
	if span < 0 {
		return 0
	}
	out := span/stride + 1
	if up && span%stride != 0 && out*stride < n+g.before[i] {
		out++
	}
	return out
}

// globalPool reads GlobalAveragePool, GlobalMaxPool and GlobalLpPool.
func globalPool(im *importer, in []value) ([]value, error) {
	s := in[0].shape
	if len(s) < 3 {
		return nil, fmt.Errorf("%w: x has shape %s, want (N, C) and more axes", ErrFormat, shapeName(s))
	}
	x, err := im.reshape(in[0], []int{s[0], s[1], elements(s[2 : len(s)-1]), s[len(s)-1]})
	if err != nil {
		return nil, err
	}
	w := op.Window{KH: x.shape[2], KW: x.shape[3], StrideH: 1, StrideW: 1}
	var y value
	if im.node.op == "GlobalMaxPool" {
		y, err = im.apply(op.MaxPool2D{Window: w}, x)
	} else {
		y, err = im.apply(op.AvgPool2D{Window: w}, x)
	}
	if err != nil {
		return nil, err
	}
	return one(im.reshape(y, append(slices.Clone(s[:2]), slices.Repeat([]int{1}, len(s)-2)...)))
}
