package functions

import (
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// Linear is x w^T + b for x (N, in), w (out, in) and b (out), which may be nil.
// An x of more dimensions is flattened to (N, -1) first.
func Linear(x, w, b *nn.Variable) *nn.Variable {
	if s := x.Shape(); len(s) > 2 {
		x = Reshape(x, s[0], -1)
	}
	return nn.Apply1(op.Linear{}, optional(x, w, b)...)
}

// optional leaves a missing last input out.
func optional(x, w, b *nn.Variable) []*nn.Variable {
	if b == nil {
		return []*nn.Variable{x, w}
	}
	return []*nn.Variable{x, w, b}
}

// Bilinear is y[i,l] = sum over j, k of a[i,j] b[i,k] w[j,k,l], for a (N, J),
// b (N, K) and w (J, K, L).
func Bilinear(a, b, w *nn.Variable) *nn.Variable {
	sa, sb, sw := a.Shape(), b.Shape(), w.Shape()
	if len(sa) != 2 || len(sb) != 2 || len(sw) != 3 || sa[0] != sb[0] || sa[1] != sw[0] || sb[1] != sw[1] {
		return invalid("Bilinear", nn.ShapeErrorf("want a (N, J), b (N, K) and w (J, K, L)"), a, b, w)
	}
	products := Mul(Reshape(a, sa[0], sa[1], 1), Reshape(b, sb[0], 1, sb[1]))
	return MatMul(Reshape(products, sa[0], -1), Reshape(w, sw[0]*sw[1], sw[2]))
}

// EmbedID looks rows of w (vocabulary, dimension) up by ids of any shape: int32,
// or whole numbers in float32, as the rows of ml.Predict hold them.
func EmbedID(ids, w *nn.Variable) *nn.Variable { return nn.Apply1(op.Embed{}, ids, w) }

// EmbedIDIgnore is EmbedID with zeros where an id equals ignore.
func EmbedIDIgnore(ids, w *nn.Variable, ignore int32) *nn.Variable {
	return nn.Apply1(op.Embed{HasIgnore: true, Ignore: ignore}, ids, w)
}

// Convolution2D convolves x (N, C, H, W) with w (out, C/groups, kh, kw) and adds
// b (out), which may be nil. Options: Stride, Padding, Dilation, Groups.
func Convolution2D(x, w, b *nn.Variable, options ...WindowOption) *nn.Variable {
	o := NewWindow(false, options...)
	sh, sw := o.strideOr(1, 1)
	return nn.Apply1(op.Conv2D{StrideH: sh, StrideW: sw, PadH: o.PadH, PadW: o.PadW,
		DilH: o.DilH, DilW: o.DilW, Groups: o.Groups}, optional(x, w, b)...)
}

// Convolution1D convolves x (N, C, L) with w (out, C, k) and adds b (out), which
// may be nil. Options: Stride, Padding, Dilation, Groups.
func Convolution1D(x, w, b *nn.Variable, options ...WindowOption) *nn.Variable {
	if len(x.Shape()) != 3 || len(w.Shape()) != 3 {
		return invalid("Convolution1D", nn.ShapeErrorf("want x (N, C, L) and w (out, C, k)"), x, w)
	}
	flat := append(slices.Clone(options), func(o *Window) {
		o.StrideH, o.PadH, o.DilH = 1, 0, 1
	})
	return Squeeze(Convolution2D(ExpandDims(x, 2), ExpandDims(w, 2), b, flat...), 2)
}

// DepthwiseConvolution2D convolves each channel of x (N, C, H, W) by itself with
// w (multiplier, C, kh, kw) and adds b (C*multiplier), which may be nil. Options:
// Stride, Padding.
func DepthwiseConvolution2D(x, w, b *nn.Variable, options ...WindowOption) *nn.Variable {
	s := w.Shape()
	if len(s) != 4 {
		return invalid("DepthwiseConvolution2D", nn.ShapeErrorf("want x (N, C, H, W) and w (multiplier, C, kh, kw)"), x, w)
	}
	filters := Reshape(Transpose(w, 1, 0, 2, 3), s[0]*s[1], 1, s[2], s[3])
	return Convolution2D(x, filters, b, append(slices.Clone(options), Groups(s[1]))...)
}

// Deconvolution2D is the transposed convolution of x (N, C, H, W) with
// w (C, out/groups, kh, kw), plus b (out), which may be nil. Options: Stride,
// Padding, Groups, OutSize.
func Deconvolution2D(x, w, b *nn.Variable, options ...WindowOption) *nn.Variable {
	o := NewWindow(false, options...)
	sh, sw := o.strideOr(1, 1)
	return nn.Apply1(op.Deconv2D{StrideH: sh, StrideW: sw, PadH: o.PadH, PadW: o.PadW,
		OutH: o.OutH, OutW: o.OutW, Groups: o.Groups}, optional(x, w, b)...)
}
