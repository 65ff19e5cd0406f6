package links

import (
	"fmt"
	"strings"

	"github.com/hibana-engine/hibana/ml/functions"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// Convolution2DLink is made by Convolution2D.
type Convolution2DLink struct {
	Chain
	W, B *nn.Parameter // B is nil without a bias
	op   op.Conv2D
	size [3]int // out, kernel height, kernel width
}

// Convolution2D is a convolution of images with square kernels, W of shape
// (out, in/groups, ksize, ksize) and b of shape (out). The number of channels
// comes from the first input.
//
// Options: InSize, Kernel, Stride, Pad, Dilate, Groups, InitW, InitBias,
// NoBias.
func Convolution2D(out, ksize int, opts ...Option) *Convolution2DLink {
	o := newOptions("Convolution2D", opts, "InSize", "Kernel", "Stride", "Pad", "Dilate", "Groups", "InitW", "InitBias", "NoBias")
	o.window(out, ksize)
	l := &Convolution2DLink{size: [3]int{out, o.kernel[0], o.kernel[1]}, op: op.Conv2D{
		StrideH: o.stride[0], StrideW: o.stride[1], PadH: o.pad[0], PadW: o.pad[1],
		DilH: o.dilate[0], DilW: o.dilate[1], Groups: o.groups}}
	l.bad = o.err
	in := -1
	if o.in > 0 && o.groups > 0 {
		in = o.in / o.groups
	}
	l.W = l.addLazy("W", o.weight, out, in, o.kernel[0], o.kernel[1])
	if !o.noBias {
		l.B = AddParameter(l, "b", o.bias, out)
	}
	return l
}

// Forward takes x (batch, in, height, width) and gives (batch, out, ...).
func (l *Convolution2DLink) Forward(x *nn.Variable) *nn.Variable {
	if err := checkGroups(l.bad, x, l.op.Groups); err != nil {
		return l.failed(x, "Convolution2D", err)
	}
	err := initialize(l.W, x, 4, func(x []int) []int {
		return []int{l.size[0], x[1] / l.op.Groups, l.size[1], l.size[2]}
	})
	if err != nil {
		return failed(x, "Convolution2D", l.W, err)
	}
	return nn.Apply1(l.op, vars(x, l.W, l.B)...)
}

// Convolution1DLink is made by Convolution1D.
type Convolution1DLink struct {
	Chain
	W, B *nn.Parameter // B is nil without a bias
	size [2]int        // out, kernel
	opts options
}

// Convolution1D is a convolution along sequences, W of shape (out, in/groups,
// ksize) and b of shape (out). The number of channels comes from the first input.
//
// Options: InSize, Stride, Pad, Dilate, Groups, InitW, InitBias, NoBias.
func Convolution1D(out, ksize int, opts ...Option) *Convolution1DLink {
	o := newOptions("Convolution1D", opts, "InSize", "Stride", "Pad", "Dilate", "Groups", "InitW", "InitBias", "NoBias")
	o.window(out, ksize)
	l := &Convolution1DLink{size: [2]int{out, ksize}, opts: o}
	l.bad = o.err
	in := -1
	if o.in > 0 && o.groups > 0 {
		in = o.in / o.groups
	}
	l.W = l.addLazy("W", o.weight, out, in, ksize)
	if !o.noBias {
		l.B = AddParameter(l, "b", o.bias, out)
	}
	return l
}

// Forward takes x (batch, in, length) and gives (batch, out, ...).
func (l *Convolution1DLink) Forward(x *nn.Variable) *nn.Variable {
	const name = "Convolution1D"
	err := l.bad
	if err == nil && len(x.Shape()) == 3 {
		err = divides(l.opts.groups, x)
	}
	if err != nil {
		return l.failed(x, name, err)
	}
	err = initialize(l.W, x, 3, func(x []int) []int { return []int{l.size[0], x[1] / l.opts.groups, l.size[1]} })
	if err != nil {
		return failed(x, name, l.W, err)
	}
	var b *nn.Variable
	if l.B != nil {
		b = &l.B.Variable
	}
	return functions.Convolution1D(x, &l.W.Variable, b, functions.StrideHW(1, l.opts.stride[1]), functions.PaddingHW(0, l.opts.pad[1]),
		functions.Dilation(l.opts.dilate[1]), functions.Groups(l.opts.groups))
}

// Deconvolution2DLink is made by Deconvolution2D.
type Deconvolution2DLink struct {
	Chain
	W, B *nn.Parameter // B is nil without a bias
	op   op.Deconv2D
	size [3]int // out/groups, kernel height, kernel width
}

// Deconvolution2D is the transposed convolution, which makes images larger: W
// has shape (in, out/groups, ksize, ksize), b (out). The number of input
// channels comes from the first input.
//
// Options: InSize, Kernel, Stride, Pad, OutSize, Groups, InitW, InitBias,
// NoBias.
func Deconvolution2D(out, ksize int, opts ...Option) *Deconvolution2DLink {
	o := newOptions("Deconvolution2D", opts, "InSize", "Kernel", "Stride", "Pad", "OutSize", "Groups", "InitW", "InitBias", "NoBias")
	o.window(out, ksize)
	l := &Deconvolution2DLink{size: [3]int{out / max(o.groups, 1), o.kernel[0], o.kernel[1]}, op: op.Deconv2D{
		StrideH: o.stride[0], StrideW: o.stride[1], PadH: o.pad[0], PadW: o.pad[1],
		OutH: o.out[0], OutW: o.out[1], Groups: o.groups}}
	l.bad = o.err
	l.W = l.addLazy("W", o.weight, o.in, l.size[0], o.kernel[0], o.kernel[1])
	if !o.noBias {
		l.B = AddParameter(l, "b", o.bias, out)
	}
	return l
}

// Forward takes x (batch, in, height, width) and gives (batch, out, ...).
func (l *Deconvolution2DLink) Forward(x *nn.Variable) *nn.Variable {
	if err := checkGroups(l.bad, x, l.op.Groups); err != nil {
		return l.failed(x, "Deconvolution2D", err)
	}
	err := initialize(l.W, x, 4, func(x []int) []int { return []int{x[1], l.size[0], l.size[1], l.size[2]} })
	if err != nil {
		return failed(x, "Deconvolution2D", l.W, err)
	}
	return nn.Apply1(l.op, vars(x, l.W, l.B)...)
}

// window takes the kernel's size and checks what a convolution is made with.
func (o *options) window(out, ksize int) {
	if o.kernel == [2]int{} {
		o.kernel = [2]int{ksize, ksize}
		o.atLeast(1, "kernel size", ksize)
	}
	o.atLeast(1, "output channels", out)
	if o.err != nil {
		return
	}
	if out%o.groups != 0 || o.in > 0 && o.in%o.groups != 0 {
		o.fail("%d groups must divide the numbers of input and output channels, %s and %d", o.groups, strings.Replace(fmt.Sprint(o.in), "-1", "?", 1), out)
	}
}

// checkGroups tells whether an image has the channels for a number of groups.
func checkGroups(bad error, x *nn.Variable, groups int) error {
	if bad == nil && len(x.Shape()) == 4 {
		return divides(groups, x)
	}
	return bad
}

func divides(groups int, x *nn.Variable) error {
	if x.Dim(1)%groups != 0 {
		return nn.ShapeErrorf("%d groups can't divide the %d channels of x %s", groups, x.Dim(1), x.Spec())
	}
	return nil
}
