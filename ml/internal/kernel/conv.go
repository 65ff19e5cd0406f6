package kernel

import (
	"errors"
	"fmt"
)

// ErrShape is wrapped by every error of a Validate method.
var ErrShape = errors.New("impossible shape")

// ConvShape describes a two-dimensional convolution: x is N x C x H x W, the
// filter w is OC x C/Groups x KH x KW, y is N x OC x OutH x OutW. A dilation or
// Groups of 0 means 1.
type ConvShape struct {
	N, C, H, W       int
	OC, KH, KW       int
	StrideH, StrideW int
	PadH, PadW       int
	DilH, DilW       int
	Groups           int
}

// Validate reports the first number that makes the convolution impossible.
func (s ConvShape) Validate() error {
	s = s.defaults()
	switch {
	case s.N < 0 || s.C < 1 || s.H < 1 || s.W < 1:
		return fmt.Errorf("convolution of an input of %dx%dx%dx%d: %w", s.N, s.C, s.H, s.W, ErrShape)
	case s.OC < 1 || s.KH < 1 || s.KW < 1:
		return fmt.Errorf("convolution with %d filters of %dx%d: %w", s.OC, s.KH, s.KW, ErrShape)
	case s.StrideH < 1 || s.StrideW < 1 || s.DilH < 1 || s.DilW < 1 || s.PadH < 0 || s.PadW < 0:
		return fmt.Errorf("convolution with stride %dx%d, dilation %dx%d, padding %dx%d: %w", s.StrideH, s.StrideW, s.DilH, s.DilW, s.PadH, s.PadW, ErrShape)
	case s.Groups < 1 || s.C%s.Groups != 0 || s.OC%s.Groups != 0:
		return fmt.Errorf("convolution with %d groups of %d input and %d output channels: %w", s.Groups, s.C, s.OC, ErrShape)
	case s.OutH() < 1 || s.OutW() < 1:
		return fmt.Errorf("convolution of a %dx%d image (padding %dx%d) with a %dx%d filter (dilation %dx%d) leaves nothing: %w", s.H, s.W, s.PadH, s.PadW, s.KH, s.KW, s.DilH, s.DilW, ErrShape)
	}
	return nil
}

// defaults replaces the zeros that stand for one.
func (s ConvShape) defaults() ConvShape {
	for _, p := range []*int{&s.DilH, &s.DilW, &s.Groups} {
		if *p == 0 {
			*p = 1
		}
	}
	return s
}

// OutH returns the height of the result.
func (s ConvShape) OutH() int { return convOut(s.H, s.KH, s.StrideH, s.PadH, s.DilH) }

// OutW returns the width of the result.
func (s ConvShape) OutW() int { return convOut(s.W, s.KW, s.StrideW, s.PadW, s.DilW) }

// MulAdds returns the multiply-adds of one image.
func (s ConvShape) MulAdds() float64 {
	return float64(s.OutH()) * float64(s.OutW()) * float64(s.OC) * float64(s.C/max(s.Groups, 1)) * float64(s.KH) * float64(s.KW)
}

func convOut(size, kernel, stride, pad, dil int) int {
	span := size + 2*pad - (max(dil, 1)*(kernel-1) + 1)
	if span < 0 || stride < 1 {
		return 0
	}
	return span/stride + 1
}

// convPlan is a shape with the sizes that the loops need.
type convPlan struct {
	ConvShape
	oh, ow    int
	cg, ocg   int  // channels of a group
	k         int  // cg*KH*KW, the length of a dot product
	out       int  // oh*ow
	px, py    int  // from a pixel to the next, of the NHWC image that kernels read and of the result
	pointwise bool // 1x1, stride 1, no padding
}

func planConv(s ConvShape) convPlan {
	s = s.defaults()
	p := convPlan{ConvShape: s, oh: s.OutH(), ow: s.OutW(), cg: s.C / s.Groups, ocg: s.OC / s.Groups}
	p.k, p.out = p.cg*s.KH*s.KW, p.oh*p.ow
	p.px, p.py = s.C, s.OC
	p.pointwise = s.KH == 1 && s.KW == 1 && s.StrideH == 1 && s.StrideW == 1 && s.PadH == 0 && s.PadW == 0
	return p
}

// check panics when a slice is shorter than the shape says.
func (p *convPlan) check(x, w, y []float32) {
	_, _, _ = x[:p.N*p.C*p.H*p.W], w[:p.OC*p.k], y[:p.N*p.OC*p.out]
}

// in is the number of elements of an input image.
func (p *convPlan) in() int { return p.C * p.H * p.W }

// Conv2D computes y = conv(x, w) + bias. bias is nil or OC long. The shape is
// valid.
func Conv2D(s ConvShape, x, w, bias, y []float32) { conv2D(active, s, x, w, bias, y) }

func conv2D(l Level, s ConvShape, x, w, bias, y []float32) {
	p := planConv(s)
	p.check(x, w, y)
	sc := getScratch()
	defer putScratch(sc)
	if p.isDepthwise() {
		depthwise2D(l, p, sc, x, w, bias, y)
		return
	}
	d := &sc.conv
	d.prepare(p)
	d.packFilters(w)
	image, result := grow(&sc.a, d.padded()), grow(&sc.b, p.out*p.OC)
	clear(image)
	for i := range p.N {
		d.padNCHW(l, image, x[i*p.in():])
		d.image(l, image, result, bias, 0, 0)
		transposeInto(l, y[i*p.OC*p.out:], p.out, result, p.OC, p.out, p.OC)
	}
}

// depthwise2D is conv2D where every channel is a group of its own.
func depthwise2D(l Level, p convPlan, sc *scratch, x, w, bias, y []float32) {
	d := &sc.depth
	d.prepare(p)
	d.packFilters(l, w)
	image, result := grow(&sc.a, p.in()), grow(&sc.b, p.out*p.OC)
	flags := 0
	if bias != nil {
		flags = tileBias
	}
	for i := range p.N {
		transposeInto(l, image, p.C, x[i*p.in():], p.H*p.W, p.C, p.H*p.W)
		d.image(l, image, result, bias, flags, nil)
		transposeInto(l, y[i*p.OC*p.out:], p.out, result, p.OC, p.out, p.OC)
	}
}
