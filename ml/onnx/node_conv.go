package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/op"
)

// convolution is a node that is being read: the operation is for images, lines
// become images of one row, and volumes sums of images.
type convolution struct {
	*calls
	groups int
}

// newConvolution checks what Conv and ConvTranspose have in common.
func newConvolution(im *importer, x, w value) (convolution, error) {
	c := convolution{&calls{importer: im}, int(im.attr("group", 1))}
	if len(x.shape) < 3 || len(w.shape) != len(x.shape) {
		return c, fmt.Errorf("%w: x has shape %s and W %s, want (N, C, ...) and a window for the axes behind", ErrFormat, shapeName(x.shape), shapeName(w.shape))
	}
	if len(x.shape) > 5 {
		return c, fmt.Errorf("%w: x has shape %s, at most three axes behind (N, C) are supported", ErrUnsupported, shapeName(x.shape))
	}
	if c.groups < 1 || c.groups > maxSide {
		return c, fmt.Errorf("%w: %d groups", ErrFormat, c.groups)
	}
	if list := im.attrInts("kernel_shape"); list != nil && !slices.EqualFunc(list, w.shape[2:], func(a int64, b int) bool { return a == int64(b) }) {
		return c, fmt.Errorf("%w: kernel_shape is %v, W has the shape %s", ErrFormat, list, shapeName(w.shape))
	}
	return c, nil
}

// conv reads Conv.
func conv(im *importer, in []value) ([]value, error) {
	x, w := in[0], in[1]
	c, err := newConvolution(im, x, w)
	if err != nil {
		return nil, err
	}
	g, err := im.slide(x.shape[2:], w.shape[2:])
	if err != nil {
		return nil, err
	}
	if err := im.packs(elements(w.shape[1:])*c.groups, (w.shape[0]+c.groups-1)/c.groups); err != nil {
		return nil, err
	}
	return one(c.over(x, w, in[2:], g))
}

// over convolves x with w; bias is a list of one or none.
func (c convolution) over(x, w value, bias []value, g slide) (value, error) {
	switch len(g.kernel) {
	case 1:
		x, err := c.liftOne(x)
		if err == nil {
			w, err = c.liftOne(w)
		}
		if err != nil {
			return value{}, err
		}
		return c.dropOne(c.over(x, w, bias, g.behindOne()))
	case 2:
		return c.images(x, w, bias, g)
	}
	return c.volumes(x, w, bias, g)
}

// images convolves images. Padding that isn't the same on both sides becomes a step
// of its own.
func (c convolution) images(x, w value, bias []value, g slide) (value, error) {
	if slices.Equal(g.before, g.after) {
		if err := c.fits(x.shape, g); err != nil {
			return value{}, err
		}
	} else {
		var err error
		if x, err = c.around(x, g, 0); err != nil {
			return value{}, err
		}
		g = g.unpadded()
	}
	args := []value{x, w}
	if has(bias, 0) {
		args = append(args, bias[0])
	}
	return c.apply(op.Conv2D{Groups: c.groups, StrideH: g.stride[0], StrideW: g.stride[1], PadH: g.before[0], PadW: g.before[1],
		DilH: g.dilation[0], DilW: g.dilation[1]}, args...)
}

// volumes convolves volumes: the planes that each plane of the window meets, as
// images, added up.
func (c convolution) volumes(x, w value, bias []value, g slide) (value, error) {
	x, err := c.around(x, g.until(1), 0)
	if err != nil {
		return value{}, err
	}
	n, channels, rest := x.shape[0], x.shape[1], x.shape[3:]
	planes := (x.shape[2]-(g.kernel[0]-1)*g.dilation[0]-1)/g.stride[0] + 1
	if x.shape[2] < (g.kernel[0]-1)*g.dilation[0]+1 {
		return value{}, fmt.Errorf("%w: a window of %v is larger than %s", ErrFormat, g.kernel, shapeName(x.shape))
	}
	var sum value
	for k := range g.kernel[0] {
		part := c.do(op.Slice{Ranges: []op.Range{whole(n), whole(channels), {From: k * g.dilation[0], Count: planes, Step: g.stride[0]}}}, x)
		part = c.shaped(c.do(op.Transpose{Axes: swapped(len(x.shape))}, part), append([]int{n * planes, channels}, rest...)...)
		filter := c.shaped(c.do(op.Slice{Ranges: []op.Range{whole(w.shape[0]), whole(w.shape[1]), {From: k, Count: 1, Step: 1}}}, w),
			slices.Delete(slices.Clone(w.shape), 2, 3)...)
		if c.err != nil {
			return value{}, c.err
		}
		y, err := c.over(part, filter, bias, g.from(1))
		if err != nil {
			return value{}, err
		}
		if bias = nil; k == 0 {
			sum = y
		} else {
			sum = c.do(op.Add{}, sum, y)
		}
	}
	sum = c.shaped(sum, append([]int{n, planes}, sum.shape[1:]...)...)
	return c.do(op.Transpose{Axes: swapped(len(sum.shape))}, sum), c.err
}

// whole is all of an axis.
func whole(n int) op.Range { return op.Range{Count: n, Step: 1} }

// swapped is the order of axes that changes the two behind the first.
func swapped(rank int) []int {
	axes := make([]int, rank)
	for i := range axes {
		axes[i] = i
	}
	axes[1], axes[2] = 2, 1
	return axes
}

// convTranspose reads ConvTranspose: the whole result of a window put down at every
// element, then what the padding leaves of it.
func convTranspose(im *importer, in []value) ([]value, error) {
	x, w := in[0], in[1]
	c, err := newConvolution(im, x, w)
	if err != nil {
		return nil, err
	}
	g := slide{kernel: w.shape[2:]}
	n := len(g.kernel)
	if g.stride, err = im.sizes("strides", n); err != nil {
		return nil, err
	}
	if g.dilation, err = im.sizes("dilations", n); err != nil {
		return nil, err
	}
	widths, err := im.outputWidths(x.shape[2:], g)
	if err != nil {
		return nil, err
	}
	full := x.shape[0] * w.shape[1] * c.groups
	for i, d := range x.shape[2:] {
		if d = (d-1)*g.stride[i] + (g.kernel[i]-1)*g.dilation[i] + 1; d > im.left/full {
			return nil, im.beyond("%s with axis %d of %d", shapeName(x.shape), 2+i, d)
		}
		full *= d
	}
	y, err := c.under(x, w, g)
	if err != nil {
		return nil, err
	}
	zero := []value{y}
	if y, err = im.padConstant(zero, append(make([][2]int, 2), widths...)); err != nil || !has(in, 2) {
		return one(y, err)
	}
	if !slices.Equal(in[2].shape, y.shape[1:2]) {
		return nil, fmt.Errorf("%w: B has the shape %s, want (%d)", ErrFormat, shapeName(in[2].shape), y.shape[1])
	}
	bias := c.shaped(in[2], append([]int{y.shape[1]}, slices.Repeat([]int{1}, n)...)...)
	return c.results(c.do(op.Add{}, y, bias))
}

// outputWidths tells how much is added to the whole result before and behind each
// axis; below zero, taken away.
func (im *importer) outputWidths(x []int, g slide) ([][2]int, error) {
	n := len(x)
	extra, target := make([]int, n), im.attrInts("output_shape")
	if list := im.attrInts("output_padding"); list != nil {
		if len(list) != n {
			return nil, fmt.Errorf("%w: output_padding %v for %d axes", ErrFormat, list, n)
		}
		for i, v := range list {
			if v < 0 || v > maxSide {
				return nil, fmt.Errorf("%w: output_padding %v", ErrFormat, list)
			}
			extra[i] = int(v)
		}
	}
	if len(target) > n { // with (N, C) in old files
		target = target[len(target)-n:]
	}
	if target != nil && len(target) != n {
		return nil, fmt.Errorf("%w: output_shape %v for %d axes", ErrFormat, target, n)
	}
	mode := im.attrString("auto_pad", "NOTSET")
	g.before, g.after = make([]int, n), make([]int, n)
	if target == nil && (mode == "NOTSET" || mode == "VALID") {
		if err := im.pads(&g, x); err != nil {
			return nil, err
		}
	}
	widths := make([][2]int, n)
	for i := range x {
		size := (x[i]-1)*g.stride[i] + (g.kernel[i]-1)*g.dilation[i] + 1
		before, after := g.before[i], g.after[i]
		if target != nil || mode == "SAME_UPPER" || mode == "SAME_LOWER" {
			want := int64(x[i] * g.stride[i])
			if target != nil {
				want = target[i]
			}
			total := int64(size+extra[i]) - want
			if want < 1 || total < -1 || total > maxSide { // runtimes share out less than -1 in different ways
				return nil, fmt.Errorf("%w: a result of %d along an axis of %d", ErrUnsupported, want, size)
			}
			before, after = int(total)-int(total)/2, int(total)/2
			switch {
			case total < 0:
				before, after = 0, int(total)
			case mode == "SAME_UPPER":
				before, after = after, before
			}
		}
		if widths[i] = [2]int{-before, extra[i] - after}; size-before+extra[i]-after < 1 || before > size {
			return nil, fmt.Errorf("%w: nothing is left of an axis of %d", ErrFormat, size)
		}
	}
	return widths, nil
}

// under is the whole transposed convolution.
func (c convolution) under(x, w value, g slide) (value, error) {
	switch len(g.kernel) {
	case 1:
		x, err := c.liftOne(x)
		if err == nil {
			w, err = c.liftOne(w)
		}
		if err != nil {
			return value{}, err
		}
		one := slide{append([]int{1}, g.kernel...), append([]int{1}, g.stride...), append([]int{1}, g.dilation...), nil, nil}
		return c.dropOne(c.under(x, w, one))
	case 2:
		return c.apply(op.Deconv2D{Groups: c.groups, StrideH: g.stride[0], StrideW: g.stride[1], DilH: g.dilation[0], DilW: g.dilation[1]}, x, w)
	}
	return c.underVolumes(x, w, g)
}

// underVolumes is the whole transposed convolution of volumes: what each plane of the
// window makes of the planes, as images, put where it lies and added up.
func (c convolution) underVolumes(x, w value, g slide) (value, error) {
	n, channels, planes, stride := x.shape[0], x.shape[1], x.shape[2], g.stride[0]
	images := c.shaped(c.do(op.Transpose{Axes: swapped(len(x.shape))}, x), append([]int{n * planes, channels}, x.shape[3:]...)...)
	size := (planes-1)*stride + 1 // of the planes, the stride apart
	var sum value
	for k := range g.kernel[0] {
		filter := c.shaped(c.do(op.Slice{Ranges: []op.Range{whole(w.shape[0]), whole(w.shape[1]), {From: k, Count: 1, Step: 1}}}, w),
			slices.Delete(slices.Clone(w.shape), 2, 3)...)
		if c.err != nil {
			return value{}, c.err
		}
		y, err := c.under(images, filter, slide{kernel: g.kernel[1:], stride: g.stride[1:], dilation: g.dilation[1:]})
		if err != nil {
			return value{}, err
		}
		image := y.shape[1:]
		y = c.shaped(y, append([]int{n, planes, 1}, image...)...)
		y = c.do(op.Pad{Width: [][2]int{{}, {}, {0, stride - 1}, {}, {}, {}}}, y)
		y = c.shaped(y, append([]int{n, planes * stride}, image...)...)
		y = c.do(op.Slice{Ranges: []op.Range{whole(n), {Count: size, Step: 1}}}, y)
		before := k * g.dilation[0]
		y = c.do(op.Pad{Width: [][2]int{{}, {before, (g.kernel[0]-1)*g.dilation[0] - before}, {}, {}, {}}}, y)
		if k == 0 {
			sum = y
		} else {
			sum = c.do(op.Add{}, sum, y)
		}
	}
	return c.do(op.Transpose{Axes: swapped(len(x.shape))}, sum), c.err
}
