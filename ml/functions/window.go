package functions

import (
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// Window is how a convolution or pooling goes over an image. Build it with
// options; fields that a function has no use for are ignored.
type Window struct {
	StrideH, StrideW int // 0 stands for the function's default
	PadH, PadW       int
	DilH, DilW       int
	Groups           int
	CoverAll         bool
	ExcludePad       bool
	OutH, OutW       int // of a deconvolution; 0 means the smallest
}

// WindowOption sets a part of a [Window].
type WindowOption func(*Window)

// NewWindow collects options. Dilation and groups start at 1 and coverAll as
// given; the rest at 0.
func NewWindow(coverAll bool, options ...WindowOption) Window {
	w := Window{DilH: 1, DilW: 1, Groups: 1, CoverAll: coverAll}
	for _, o := range options {
		o(&w)
	}
	return w
}

// Stride sets the step between windows, for both directions.
func Stride(n int) WindowOption { return StrideHW(n, n) }

// StrideHW sets the vertical and the horizontal step between windows.
func StrideHW(h, w int) WindowOption {
	return func(o *Window) { o.StrideH, o.StrideW = h, w }
}

// Padding sets how far zeros (for maxima: nothing) surround the image.
func Padding(n int) WindowOption { return PaddingHW(n, n) }

// PaddingHW sets the padding above and below, and left and right.
func PaddingHW(h, w int) WindowOption {
	return func(o *Window) { o.PadH, o.PadW = h, w }
}

// Dilation sets the distance between a filter's elements.
func Dilation(n int) WindowOption {
	return func(o *Window) { o.DilH, o.DilW = n, n }
}

// Groups cuts input and output channels into n groups that don't mix.
func Groups(n int) WindowOption { return func(o *Window) { o.Groups = n } }

// CoverAll says whether the output's size is rounded up so that every element
// is in a window. As in Chainer MaxPooling2D does by default, the others don't.
func CoverAll(yes bool) WindowOption { return func(o *Window) { o.CoverAll = yes } }

// ExcludePad makes an average count only elements inside the image.
func ExcludePad() WindowOption { return func(o *Window) { o.ExcludePad = true } }

// OutSize chooses the size of a deconvolution's output among those that the
// convolution would map to the input's size.
func OutSize(h, w int) WindowOption {
	return func(o *Window) { o.OutH, o.OutW = h, w }
}

// strideOr returns the strides, the given default where none was set.
func (w Window) strideOr(h, wd int) (int, int) {
	if w.StrideH != 0 {
		h = w.StrideH
	}
	if w.StrideW != 0 {
		wd = w.StrideW
	}
	return h, wd
}

// pooling is the operation's window; the stride defaults to the size.
func (w Window) pooling(kh, kw int) op.Window {
	sh, sw := w.strideOr(kh, kw)
	return op.Window{KH: kh, KW: kw, StrideH: sh, StrideW: sw, PadH: w.PadH, PadW: w.PadW, CoverAll: w.CoverAll}
}

// MaxPooling2D is the largest element of each size x size window of
// x (N, C, H, W). The stride defaults to size and CoverAll to true, as in
// Chainer.
func MaxPooling2D(x *nn.Variable, size int, options ...WindowOption) *nn.Variable {
	return nn.Apply1(op.MaxPool2D{Window: NewWindow(true, options...).pooling(size, size)}, x)
}

// AveragePooling2D is the mean of each size x size window of x (N, C, H, W);
// padding counts as zeros unless ExcludePad is given. The stride defaults to
// size.
func AveragePooling2D(x *nn.Variable, size int, options ...WindowOption) *nn.Variable {
	w := NewWindow(false, options...)
	return nn.Apply1(op.AvgPool2D{Window: w.pooling(size, size), ExcludePad: w.ExcludePad}, x)
}

// GlobalAveragePooling2D is the mean of each plane: x (N, C, H, W) gives (N, C).
func GlobalAveragePooling2D(x *nn.Variable) *nn.Variable {
	if len(x.Shape()) != 4 {
		return invalid("GlobalAveragePooling2D", nn.ShapeErrorf("want x (N, C, H, W)"), x)
	}
	return Mean(x, 2, 3)
}

// Unpooling2D spreads each element of x (N, C, H, W) over a size x size window,
// the reverse of a pooling. The stride defaults to size, CoverAll to false.
func Unpooling2D(x *nn.Variable, size int, options ...WindowOption) *nn.Variable {
	return nn.Apply1(op.Unpool2D{Window: NewWindow(false, options...).pooling(size, size)}, x)
}

// SpatialPyramidPooling2D pools x (N, C, H, W) by maxima into 1x1, 2x2, 4x4, ...
// bins, levels of them, and joins the results as (N, C*(1+4+16+...), 1, 1),
// whatever H and W are (arXiv:1406.4729).
func SpatialPyramidPooling2D(x *nn.Variable, levels int) *nn.Variable {
	s := x.Shape()
	if len(s) != 4 || levels < 1 || levels > 16 {
		return invalid("SpatialPyramidPooling2D", nn.ShapeErrorf("want x (N, C, H, W) and 1 to 16 levels, not %d", levels), x)
	}
	parts := make([]*nn.Variable, levels)
	for l := range parts {
		bins := 1 << l
		kh, kw := (s[2]+bins-1)/bins, (s[3]+bins-1)/bins
		w := op.Window{KH: kh, KW: kw, StrideH: kh, StrideW: kw, CoverAll: true,
			PadH: (kh*bins - s[2]) / 2, PadW: (kw*bins - s[3]) / 2}
		parts[l] = Reshape(nn.Apply1(op.MaxPool2D{Window: w}, x), s[0], -1, 1, 1)
	}
	return Concat(parts, 1)
}
