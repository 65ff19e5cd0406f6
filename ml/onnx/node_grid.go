package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/op"
)

// gridSample reads GridSample, whose modes had other names before opset 20.
func gridSample(im *importer, in []value) ([]value, error) {
	if r := len(in[0].shape); r < 3 || r > 5 {
		return nil, fmt.Errorf("%w: x has the shape %s, want (N, C) and one to three axes", ErrUnsupported, shapeName(in[0].shape))
	}
	mode := im.attrString("mode", "linear")
	if name, ok := map[string]string{"bilinear": "linear", "bicubic": "cubic"}[mode]; ok {
		mode = name
	}
	return one(im.apply(op.GridSample{Mode: mode, Padding: im.attrString("padding_mode", "zeros"), Align: im.attr("align_corners", 0) != 0}, in...))
}

// affineGrid reads AffineGrid: the places that a matrix makes of those of an image's
// elements, for GridSample.
func affineGrid(im *importer, in []value) ([]value, error) {
	list, _, err := im.list(in, 1, "")
	if err != nil {
		return nil, err
	}
	theta, rank := in[0], len(list)-2
	if rank < 2 || rank > 3 || len(theta.shape) != 3 || !slices.Equal(theta.shape, []int{theta.shape[0], rank, rank + 1}) {
		return nil, fmt.Errorf("%w: matrices of shape %s for images of %v", ErrFormat, shapeName(theta.shape), list)
	}
	if n := theta.shape[0]; list[0] != int64(n) && !(n == im.rows && list[0] == im.batch) {
		return nil, fmt.Errorf("%w: %d matrices for images of %v", ErrFormat, n, list)
	}
	sizes, all := make([]int, rank), 1
	for i, d := range list[2:] {
		if d < 1 || d > int64(im.left/all) || d == 1 && im.attr("align_corners", 0) != 0 {
			return nil, fmt.Errorf("%w: images of %v", ErrUnsupported, list)
		}
		sizes[i] = int(d)
		all *= int(d)
	}
	places := make([]float32, (rank+1)*all)
	for axis, step := range strides(sizes) {
		for i := range all {
			k := float64(i / step % sizes[axis])
			at := (2*k+1)/float64(sizes[axis]) - 1
			if im.attr("align_corners", 0) != 0 {
				at = 2*k/float64(sizes[axis]-1) - 1
			}
			places[(rank-1-axis)*all+i] = float32(at)
			places[rank*all+i] = 1
		}
	}
	grid, err := im.floats("", places, []int{rank + 1, all})
	if err != nil {
		return nil, err
	}
	y, err := matMul(im, []value{theta, grid})
	if err != nil {
		return nil, err
	}
	c := &calls{importer: im}
	out := c.do(op.Transpose{Axes: []int{0, 2, 1}}, y[0])
	return c.results(c.shaped(out, slices.Concat(theta.shape[:1], sizes, []int{rank})...))
}

// col2im reads Col2Im: blocks of an image put back where they lay, added up where
// they overlap.
func col2im(im *importer, in []value) ([]value, error) {
	var sizes [2][]int // of the image, and of a block
	for i := range sizes {
		list, _, err := im.list(in, 1+i, "")
		if err != nil {
			return nil, err
		}
		for _, d := range list {
			if d < 1 || d > maxSide {
				return nil, fmt.Errorf("%w: sizes %v", ErrUnsupported, list)
			}
			sizes[i] = append(sizes[i], int(d))
		}
	}
	image, block := sizes[0], sizes[1]
	if len(image) != len(block) || len(image) < 1 || len(image) > maxRank-2 || len(in[0].shape) != 3 {
		return nil, fmt.Errorf("%w: blocks of %v of images of %v, from %s", ErrFormat, block, image, shapeName(in[0].shape))
	}
	g, err := im.slide(image, block)
	if err != nil {
		return nil, err
	}
	x, each := in[0].shape, 1
	windows, size := make([]int, len(image)), 1
	for i := range image {
		windows[i] = (image[i]+g.before[i]+g.after[i]-(block[i]-1)*g.dilation[i]-1)/g.stride[i] + 1
		if windows[i] < 1 || block[i] > x[1]/each || image[i] > im.left/size {
			return nil, fmt.Errorf("%w: blocks of %v of images of %v, from %s", ErrFormat, block, image, shapeName(x))
		}
		each *= block[i]
		size *= image[i]
	}
	if x[1]%each != 0 || x[2] != elements(windows) {
		return nil, fmt.Errorf("%w: blocks of %v at %v places, from %s", ErrFormat, block, windows, shapeName(x))
	}
	at := make([]int32, 0, each*x[2])
	inBlock, inWindows, inImage := strides(block), strides(windows), strides(image)
	for b := range each {
		for w := range x[2] {
			k := 0
			for i, n := range image {
				p := w/inWindows[i]%windows[i]*g.stride[i] - g.before[i] + b/inBlock[i]%block[i]*g.dilation[i]
				if p < 0 || p >= n {
					k = -1
					break
				}
				k += p * inImage[i]
			}
			at = append(at, int32(k))
		}
	}
	c := &calls{importer: im}
	y := c.do(op.FoldAdd{At: at, Size: size}, c.shaped(in[0], x[0], x[1]/each, each*x[2]))
	return c.results(c.shaped(y, slices.Concat([]int{x[0], x[1] / each}, image)...))
}
