package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/op"
)

// deformConv reads DeformConv: a convolution whose window has each of its elements where
// an offset, which another layer computes, moves it to. What lies between elements of the
// images is interpolated; the elements that the windows meet become channels, over which
// a convolution of one element goes.
func deformConv(im *importer, in []value) ([]value, error) {
	x, w := in[0], in[1]
	c, err := newConvolution(im, x, w)
	if err != nil {
		return nil, err
	}
	if len(x.shape) != 4 {
		return nil, fmt.Errorf("%w: x has shape %s, want images (N, C, H, W)", ErrUnsupported, shapeName(x.shape))
	}
	g, err := im.slide(x.shape[2:], w.shape[2:])
	if err != nil {
		return nil, err
	}
	n, channels, window, moved := x.shape[0], x.shape[1], elements(g.kernel), int(im.attr("offset_group", 1))
	if moved < 1 || moved > maxSide || channels%moved != 0 {
		return nil, fmt.Errorf("%w: %d groups of offsets for %d channels", ErrFormat, moved, channels)
	}
	out := make([]int, 2)
	for i, d := range x.shape[2:] {
		if out[i] = pooled(d, slide{kernel: []int{(g.kernel[i]-1)*g.dilation[i] + 1}, stride: g.stride[i:], before: g.before[i:], after: g.after[i:]}, 0, false); out[i] < 1 {
			return nil, fmt.Errorf("%w: a window of %v is larger than images of %s", ErrFormat, g.kernel, shapeName(x.shape))
		}
	}
	for i, want := range map[int][]int{2: {n, moved * window * 2, out[0], out[1]}, 4: {n, moved * window, out[0], out[1]}} {
		if has(in, i) && !slices.Equal(in[i].shape, want) {
			return nil, fmt.Errorf("%w: input %d has the shape %s, want %s", ErrFormat, i, shapeName(in[i].shape), shapeName(want))
		}
	}
	if err := im.packs(elements(w.shape[1:])*c.groups, (w.shape[0]+c.groups-1)/c.groups); err != nil {
		return nil, err
	}
	grid, err := c.moved(in[2], out, g, moved)
	if err != nil {
		return nil, err
	}
	y := c.do(op.GridSample{Mode: "linear", Padding: "zeros", Elements: true}, c.shaped(x, n*moved, channels/moved, x.shape[2], x.shape[3]), grid)
	if has(in, 4) {
		y = c.do(op.Mul{}, y, c.shaped(in[4], n*moved, 1, window, elements(out)))
	}
	y = c.shaped(y, n, channels*window, out[0], out[1])
	w = c.shaped(w, w.shape[0], w.shape[1]*window, 1, 1)
	if c.err != nil {
		return nil, c.err
	}
	ones := []int{1, 1}
	return one(c.images(y, w, in[3:min(4, len(in))], slide{ones, ones, ones, []int{0, 0}, []int{0, 0}}))
}

// moved are the places in images, in elements, at which the windows meet them, as
// GridSample wants them: (N of each group, elements of the window, windows, 2).
func (c convolution) moved(offsets value, out []int, g slide, groups int) (value, error) {
	n, window, windows := offsets.shape[0], elements(g.kernel), elements(out)
	if windows > c.left/(2*window) {
		return value{}, c.beyond("%d windows of %d elements", windows, window)
	}
	at := make([]float32, 0, 2*window*windows)
	place := func(axis, k, p int) float32 {
		return float32(p*g.stride[axis] - g.before[axis] + k*g.dilation[axis])
	}
	for k := range window {
		for p := range windows {
			at = append(at, place(1, k%g.kernel[1], p%out[1]), place(0, k/g.kernel[1], p/out[1]))
		}
	}
	still, err := c.floats("", at, []int{window, windows, 2})
	if err != nil {
		return value{}, err
	}
	by := c.do(op.Transpose{Axes: []int{0, 1, 3, 2}}, c.shaped(offsets, n*groups, window, 2, windows)) // (y, x)
	return c.do(op.Add{}, c.do(op.Take{Axis: 3, Index: []int32{1, 0}}, by), still), c.err
}
