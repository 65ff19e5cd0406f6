package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/op"
)

// slide is how a window goes over the axes behind (N, C): sizes by axis.
type slide struct {
	kernel, stride, dilation []int
	before, after            []int // padding
}

// slide reads strides, dilations and padding of a window over axes of sizes x.
func (im *importer) slide(x, kernel []int) (g slide, err error) {
	n := len(x)
	g.kernel, g.before, g.after = kernel, make([]int, n), make([]int, n)
	if g.stride, err = im.sizes("strides", n); err != nil {
		return g, err
	}
	if g.dilation, err = im.sizes("dilations", n); err != nil {
		return g, err
	}
	return g, im.pads(&g, x)
}

// sizes returns an attribute of n sizes, ones if it isn't there.
func (im *importer) sizes(name string, n int) ([]int, error) {
	list := im.attrInts(name)
	if list == nil {
		return slices.Repeat([]int{1}, n), nil
	}
	if len(list) != n {
		return nil, fmt.Errorf("%w: attribute %s is %v, want %d sizes", ErrFormat, name, list, n)
	}
	out := make([]int, n)
	for i, v := range list {
		if v < 1 || v > maxSide {
			return nil, fmt.Errorf("%w: attribute %s is %v, want sizes of at least 1", ErrUnsupported, name, list)
		}
		out[i] = int(v)
	}
	return out, nil
}

// pads reads pads and auto_pad.
func (im *importer) pads(g *slide, x []int) error {
	mode, list, n := im.attrString("auto_pad", "NOTSET"), im.attrInts("pads"), len(x)
	if list != nil && len(list) != 2*n {
		return fmt.Errorf("%w: pads %v, want %d", ErrFormat, list, 2*n)
	}
	given := false
	for i, v := range list {
		if v < 0 || v > maxSide {
			return fmt.Errorf("%w: pads %v", ErrUnsupported, list)
		}
		given = given || v != 0
		if i < n {
			g.before[i] = int(v)
		} else {
			g.after[i-n] = int(v)
		}
	}
	if mode != "NOTSET" && given {
		return fmt.Errorf("%w: both pads %v and auto_pad %q", ErrFormat, list, mode)
	}
	switch mode {
	case "NOTSET", "VALID":
	case "SAME_UPPER", "SAME_LOWER":
		for i := range x {
			g.before[i], g.after[i] = same(x[i], g.kernel[i], g.stride[i], g.dilation[i], mode == "SAME_LOWER")
		}
	default:
		return fmt.Errorf("%w: auto_pad %q", ErrFormat, mode)
	}
	return nil
}

// same is the padding with which an axis of n elements keeps its size, divided by
// the stride; the odd one goes to the end unless lower.
func same(n, k, s, d int, lower bool) (begin, end int) {
	out := (n + s - 1) / s
	total := max(0, (out-1)*s+(k-1)*d+1-n)
	begin, end = total/2, total-total/2
	if lower {
		begin, end = end, begin
	}
	return begin, end
}

// axes are those from one on.
func (g slide) from(i int) slide {
	return slide{g.kernel[i:], g.stride[i:], g.dilation[i:], g.before[i:], g.after[i:]}
}

// until are the axes before one.
func (g slide) until(i int) slide {
	return slide{g.kernel[:i], g.stride[:i], g.dilation[:i], g.before[:i], g.after[:i]}
}

// behindOne is the same window behind an axis of one element.
func (g slide) behindOne() slide {
	put := func(v []int, x int) []int { return slices.Insert(slices.Clone(v), 0, x) }
	return slide{put(g.kernel, 1), put(g.stride, 1), put(g.dilation, 1), put(g.before, 0), put(g.after, 0)}
}

// padded tells whether any axis has padding.
func (g slide) padded() bool {
	return slices.Max(g.before) > 0 || slices.Max(g.after) > 0
}

// unpadded is the same window over what has its padding already.
func (g slide) unpadded() slide {
	g.before, g.after = make([]int, len(g.before)), make([]int, len(g.after))
	return g
}

// around puts the padding of a window around x.
func (im *importer) around(x value, g slide, v float32) (value, error) {
	if !g.padded() {
		return x, nil
	}
	width := make([][2]int, len(x.shape))
	for i := range g.before {
		width[2+i] = [2]int{g.before[i], g.after[i]}
	}
	return im.apply(op.Pad{Width: width, Value: v}, x)
}

// fits keeps padded arrays within the limit too.
func (im *importer) fits(x []int, g slide) error {
	n := x[0] * x[1]
	for i, d := range x[2:] {
		if d += g.before[i] + g.after[i]; d > im.left/n {
			return im.beyond("images of shape %s with padding of %v before and %v behind", shapeName(x), g.before, g.after)
		} else {
			n *= d
		}
	}
	return nil
}

// liftOne puts an axis of one element behind (N, C).
func (im *importer) liftOne(x value) (value, error) {
	return im.reshape(x, slices.Insert(slices.Clone(x.shape), 2, 1))
}

// dropOne takes it away.
func (im *importer) dropOne(x value, err error) (value, error) {
	if err != nil {
		return value{}, err
	}
	return im.reshape(x, slices.Delete(slices.Clone(x.shape), 2, 3))
}
