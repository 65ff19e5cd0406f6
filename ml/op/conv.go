package op

import (
	"slices"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// Conv2D is a convolution (cross-correlation) of images. Inputs
// x (N, C, H, W), W (OC, C/Groups, KH, KW), [b (OC)]; output (N, OC, OH, OW)
// with OH = (H + 2*PadH - DilH*(KH-1) - 1)/StrideH + 1.
type Conv2D struct {
	StrideH, StrideW int
	PadH, PadW       int
	DilH, DilW       int
	Groups           int
}

func (Conv2D) Name() string { return "Convolution2D" }

// Shape is the kernel's description of a call with inputs of these shapes.
func (o Conv2D) Shape(x, w []int) kernel.ConvShape {
	return kernel.ConvShape{N: x[0], C: x[1], H: x[2], W: x[3], OC: w[0], KH: w[2], KW: w[3],
		StrideH: o.StrideH, StrideW: o.StrideW, PadH: o.PadH, PadW: o.PadW,
		DilH: o.DilH, DilW: o.DilW, Groups: o.Groups}
}

func (o Conv2D) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 2, "x", "W", "b"); err != nil {
		return nil, err
	}
	x, w := in[0].Shape, in[1].Shape
	if len(x) != 4 || len(w) != 4 {
		return nil, nn.ShapeErrorf("want x (N, C, H, W) and W (out, C/groups, kh, kw)")
	}
	if o.Groups < 1 || x[1] != w[1]*o.Groups || w[0]%o.Groups != 0 {
		return nil, nn.ShapeErrorf("x has %d channels, W wants %d in %d groups", x[1], w[1]*o.Groups, o.Groups)
	}
	if len(in) == 3 && !slices.Equal(in[2].Shape, w[:1]) {
		return nil, nn.ShapeErrorf("b must be (%d)", w[0])
	}
	s := o.Shape(x, w)
	if err := s.Validate(); err != nil {
		return nil, nn.ShapeErrorf("%v", err)
	}
	return one(x[0], w[0], s.OutH(), s.OutW()), nil
}

func (o Conv2D) Forward(c *nn.Call) error {
	kernel.Conv2D(o.Shape(c.In[0].Shape(), c.In[1].Shape()), c.X(0), c.X(1), c.X(2), c.Y(0))
	return nil
}

func (o Conv2D) Backward(c *nn.Call) error {
	s := o.Shape(c.In[0].Shape(), c.In[1].Shape())
	if gx := c.GX(0); gx != nil {
		kernel.Conv2DGradInput(s, c.GY(0), c.X(1), gx)
	}
	if gw := c.GX(1); gw != nil {
		kernel.Conv2DGradFilter(s, c.X(0), c.GY(0), gw)
	}
	if gb := c.GX(2); gb != nil {
		kernel.Conv2DGradBias(s, c.GY(0), gb)
	}
	return nil
}

// Deconv2D is the transposed convolution: the gradient of a convolution by its
// input. Inputs x (N, C, H, W), W (C, OC/Groups, KH, KW), [b (OC)]; output
// (N, OC, OH, OW) with OH = OutH, or StrideH*(H-1) + DilH*(KH-1) + 1 - 2*PadH if OutH is 0.
type Deconv2D struct {
	StrideH, StrideW int
	PadH, PadW       int
	OutH, OutW       int
	DilH, DilW       int // 0 for 1
	Groups           int
}

func (Deconv2D) Name() string { return "Deconvolution2D" }

func (o Deconv2D) outSize(x, w []int) (h, wd int) {
	h, wd = o.OutH, o.OutW
	if h == 0 {
		h = o.StrideH*(x[2]-1) + max(1, o.DilH)*(w[2]-1) + 1 - 2*o.PadH
	}
	if wd == 0 {
		wd = o.StrideW*(x[3]-1) + max(1, o.DilW)*(w[3]-1) + 1 - 2*o.PadW
	}
	return h, wd
}

// shape describes the convolution that leads from the output back to x.
func (o Deconv2D) shape(x, w []int) kernel.ConvShape {
	h, wd := o.outSize(x, w)
	return kernel.ConvShape{N: x[0], C: w[1] * o.Groups, H: h, W: wd, OC: x[1], KH: w[2], KW: w[3],
		StrideH: o.StrideH, StrideW: o.StrideW, PadH: o.PadH, PadW: o.PadW, DilH: max(1, o.DilH), DilW: max(1, o.DilW), Groups: o.Groups}
}

func (o Deconv2D) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 2, "x", "W", "b"); err != nil {
		return nil, err
	}
	x, w := in[0].Shape, in[1].Shape
	if len(x) != 4 || len(w) != 4 || x[1] != w[0] || o.Groups < 1 || w[0]%o.Groups != 0 {
		return nil, nn.ShapeErrorf("want x (N, C, H, W) and W (C, out/groups, kh, kw)")
	}
	s := o.shape(x, w)
	if len(in) == 3 && !slices.Equal(in[2].Shape, []int{s.C}) {
		return nil, nn.ShapeErrorf("b must be (%d)", s.C)
	}
	if err := s.Validate(); err != nil {
		return nil, nn.ShapeErrorf("%v", err)
	}
	if s.OutH() != x[2] || s.OutW() != x[3] {
		return nil, nn.ShapeErrorf("a convolution of %dx%d gives %dx%d, x is %dx%d", s.H, s.W, s.OutH(), s.OutW(), x[2], x[3])
	}
	return one(x[0], s.C, s.H, s.W), nil
}

func (o Deconv2D) Forward(c *nn.Call) error {
	s := o.shape(c.In[0].Shape(), c.In[1].Shape())
	kernel.Conv2DGradInput(s, c.X(0), c.X(1), c.Y(0))
	if b := c.X(2); b != nil {
		kernel.AddChannels(c.Y(0), s.N, s.C, s.H*s.W, b)
	}
	return nil
}

func (o Deconv2D) Backward(c *nn.Call) error {
	s := o.shape(c.In[0].Shape(), c.In[1].Shape())
	if gx := c.GX(0); gx != nil {
		kernel.Conv2D(s, c.GY(0), c.X(1), nil, gx)
	}
	if gw := c.GX(1); gw != nil {
		kernel.Conv2DGradFilter(s, c.GY(0), c.X(0), gw)
	}
	if gb := c.GX(2); gb != nil {
		kernel.SumChannels(gb, c.GY(0), s.N, s.C, s.H*s.W)
	}
	return nil
}
