package op

import (
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// Window is how a pooling slides over an image. CoverAll rounds the output's
// size up, so that every element is in a window (Chainer's cover_all). OutH and
// OutW say how many windows there are instead, unless they are 0; then PadH and
// PadW are the padding before the image, and windows reach behind it as they may.
type Window struct {
	KH, KW           int
	StrideH, StrideW int
	PadH, PadW       int
	CoverAll         bool
	OutH, OutW       int
}

func (w Window) shape(x []int) kernel.PoolShape {
	return kernel.PoolShape{N: x[0], C: x[1], H: x[2], W: x[3], KH: w.KH, KW: w.KW,
		StrideH: w.StrideH, StrideW: w.StrideW, PadH: w.PadH, PadW: w.PadW, CoverAll: w.CoverAll,
		FixedH: w.OutH, FixedW: w.OutW}
}

func checkImages(in []nn.Spec) error {
	if err := checkFloats(in, 1, "x"); err != nil {
		return err
	}
	if len(in[0].Shape) != 4 {
		return nn.ShapeErrorf("want x (N, C, H, W)")
	}
	return nil
}

func poolOutputs(in []nn.Spec, s func(x []int) kernel.PoolShape) ([]nn.Spec, error) {
	if err := checkImages(in); err != nil {
		return nil, err
	}
	p := s(in[0].Shape)
	if err := p.Validate(); err != nil {
		return nil, nn.ShapeErrorf("%v", err)
	}
	return one(p.N, p.C, p.OutH(), p.OutW()), nil
}

// MaxPool2D is the largest element of each window; the gradient goes to the
// first of several. Input x (N, C, H, W); output (N, C, OH, OW).
type MaxPool2D struct{ Window }

func (MaxPool2D) Name() string                              { return "MaxPooling2D" }
func (o MaxPool2D) Outputs(in []nn.Spec) ([]nn.Spec, error) { return poolOutputs(in, o.Shape) }

// Shape is the kernel's description of a call with an input of this shape.
func (o MaxPool2D) Shape(x []int) kernel.PoolShape { return o.shape(x) }

func (o MaxPool2D) Forward(c *nn.Call) error {
	var index []int32
	if c.NeedsBackward() {
		index = c.KeepInts(len(c.Y(0)))
	}
	kernel.MaxPool(o.Shape(c.In[0].Shape()), c.X(0), c.Y(0), index)
	c.Saved = index
	return nil
}

func (o MaxPool2D) Backward(c *nn.Call) error {
	kernel.MaxPoolGrad(o.Shape(c.In[0].Shape()), c.GY(0), c.Saved.([]int32), c.GX(0))
	return nil
}

// AvgPool2D is the mean of each window. Padding counts as zeros, or not at all
// with ExcludePad (ONNX's count_include_pad = 0). Input x (N, C, H, W); output
// (N, C, OH, OW).
type AvgPool2D struct {
	Window
	ExcludePad bool
}

func (AvgPool2D) Name() string                              { return "AveragePooling2D" }
func (o AvgPool2D) Outputs(in []nn.Spec) ([]nn.Spec, error) { return poolOutputs(in, o.Shape) }

// Shape is the kernel's description of a call with an input of this shape.
func (o AvgPool2D) Shape(x []int) kernel.PoolShape {
	s := o.shape(x)
	s.ExcludePad = o.ExcludePad
	return s
}

func (o AvgPool2D) Forward(c *nn.Call) error {
	kernel.AvgPool(o.Shape(c.In[0].Shape()), c.X(0), c.Y(0))
	return nil
}

func (o AvgPool2D) Backward(c *nn.Call) error {
	kernel.AvgPoolGrad(o.Shape(c.In[0].Shape()), c.GY(0), c.GX(0))
	return nil
}

// Unpool2D spreads each element over its window: the shape is that of the image
// which Window would pool to x. Input x (N, C, H, W); output (N, C, OH, OW)
// with OH = StrideH*(H-1) + KH - 2*PadH, less StrideH-1 with CoverAll.
type Unpool2D struct{ Window }

func (Unpool2D) Name() string { return "Unpooling2D" }

func (o Unpool2D) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkImages(in); err != nil {
		return nil, err
	}
	x := in[0].Shape
	s := o.target(x)
	if s.H < 1 || s.W < 1 {
		return nil, nn.ShapeErrorf("nothing is left of %s", nn.FormatShape(x))
	}
	if err := s.Validate(); err != nil {
		return nil, nn.ShapeErrorf("%v", err)
	}
	return one(s.N, s.C, s.H, s.W), nil
}

// target describes the pooling of the output that gives x.
func (o Unpool2D) target(x []int) kernel.PoolShape {
	s := o.shape(x)
	s.FixedH, s.FixedW = 0, 0
	s.H = kernel.UnpoolOut(x[2], o.KH, o.StrideH, o.PadH, o.CoverAll)
	s.W = kernel.UnpoolOut(x[3], o.KW, o.StrideW, o.PadW, o.CoverAll)
	return s
}

func (o Unpool2D) Forward(c *nn.Call) error {
	kernel.Unpool(o.target(c.In[0].Shape()), c.X(0), c.Y(0))
	return nil
}

func (o Unpool2D) Backward(c *nn.Call) error {
	kernel.UnpoolGrad(o.target(c.In[0].Shape()), c.GY(0), c.GX(0))
	return nil
}
