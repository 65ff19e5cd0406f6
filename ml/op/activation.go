package op

import (
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// ReLU is max(x, 0). Input x; output of the same shape.
type ReLU struct{}

func (ReLU) Name() string                            { return "ReLU" }
func (ReLU) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (ReLU) Forward(c *nn.Call) error                { kernel.ReLU(c.Y(0), c.X(0)); return nil }
func (ReLU) BackwardInPlace()                        {}
func (ReLU) Backward(c *nn.Call) error {
	kernel.ReLUGrad(c.GX(0), c.Y(0), c.GY(0))
	return nil
}

// LeakyReLU is x where x >= 0, else Slope*x. Input x; output of the same shape.
type LeakyReLU struct{ Slope float32 }

func (LeakyReLU) Name() string                            { return "LeakyReLU" }
func (LeakyReLU) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (LeakyReLU) BackwardInPlace()                        {}
func (o LeakyReLU) Forward(c *nn.Call) error {
	kernel.LeakyReLU(c.Y(0), c.X(0), o.Slope)
	return nil
}
func (o LeakyReLU) Backward(c *nn.Call) error {
	kernel.LeakyReLUGrad(c.GX(0), c.X(0), c.GY(0), o.Slope)
	return nil
}

// ELU is x where x >= 0, else Alpha*(exp(x)-1) (arXiv:1511.07289). Input x;
// output of the same shape.
type ELU struct{ Alpha float32 }

func (ELU) Name() string                            { return "ELU" }
func (ELU) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (ELU) BackwardInPlace()                        {}
func (o ELU) Forward(c *nn.Call) error {
	kernel.ELU(c.Y(0), c.X(0), o.Alpha)
	return nil
}
func (o ELU) Backward(c *nn.Call) error {
	kernel.ELUGrad(c.GX(0), c.Y(0), c.GY(0), o.Alpha)
	return nil
}

// Sigmoid is 1/(1+exp(-x)). Input x; output of the same shape.
type Sigmoid struct{}

func (Sigmoid) Name() string                            { return "Sigmoid" }
func (Sigmoid) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (Sigmoid) Forward(c *nn.Call) error                { kernel.Sigmoid(c.Y(0), c.X(0)); return nil }
func (Sigmoid) BackwardInPlace()                        {}
func (Sigmoid) Backward(c *nn.Call) error {
	kernel.SigmoidGrad(c.GX(0), c.Y(0), c.GY(0))
	return nil
}

// Tanh is the hyperbolic tangent. Input x; output of the same shape.
type Tanh struct{}

func (Tanh) Name() string                            { return "Tanh" }
func (Tanh) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (Tanh) Forward(c *nn.Call) error                { kernel.Tanh(c.Y(0), c.X(0)); return nil }
func (Tanh) BackwardInPlace()                        {}
func (Tanh) Backward(c *nn.Call) error {
	kernel.TanhGrad(c.GX(0), c.Y(0), c.GY(0))
	return nil
}

// Softplus is log(1+exp(Beta*x))/Beta. Input x; output of the same shape.
type Softplus struct{ Beta float32 }

func (Softplus) Name() string                            { return "Softplus" }
func (Softplus) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (Softplus) BackwardInPlace()                        {}
func (o Softplus) Forward(c *nn.Call) error {
	kernel.Softplus(c.Y(0), c.X(0), o.Beta)
	return nil
}
func (o Softplus) Backward(c *nn.Call) error {
	kernel.SoftplusGrad(c.GX(0), c.X(0), c.GY(0), o.Beta)
	return nil
}

// ClippedReLU is min(max(x, 0), Z). Input x; output of the same shape.
type ClippedReLU struct{ Z float32 }

func (ClippedReLU) Name() string                            { return "ClippedReLU" }
func (ClippedReLU) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (ClippedReLU) BackwardInPlace()                        {}
func (o ClippedReLU) Forward(c *nn.Call) error {
	kernel.ClippedReLU(c.Y(0), c.X(0), o.Z)
	return nil
}
func (o ClippedReLU) Backward(c *nn.Call) error {
	kernel.ClippedReLUGrad(c.GX(0), c.X(0), c.GY(0), o.Z)
	return nil
}

// HardSigmoid is min(max(0.2*x+0.5, 0), 1). Input x; output of the same shape.
type HardSigmoid struct{}

func (HardSigmoid) Name() string                            { return "HardSigmoid" }
func (HardSigmoid) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (HardSigmoid) BackwardInPlace()                        {}
func (HardSigmoid) Forward(c *nn.Call) error {
	kernel.HardSigmoid(c.Y(0), c.X(0))
	return nil
}
func (HardSigmoid) Backward(c *nn.Call) error {
	kernel.HardSigmoidGrad(c.GX(0), c.X(0), c.GY(0))
	return nil
}

// PReLU is x where x >= 0, else w*x with a slope for each channel
// (arXiv:1502.01852). Inputs x (N, C, ...), w (C); output of x's shape.
type PReLU struct{}

func (PReLU) Name() string { return "PReLU" }

func (PReLU) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 2, "x", "w"); err != nil {
		return nil, err
	}
	x, w := in[0].Shape, in[1].Shape
	if len(x) < 2 || len(w) != 1 || w[0] != x[1] {
		return nil, nn.ShapeErrorf("w has one slope for each of x's channels, (C) for (N, C, ...)")
	}
	return one(x...), nil
}

func (PReLU) Forward(c *nn.Call) error {
	x, w, y := c.X(0), c.X(1), c.Y(0)
	_, channels, inner := split3(c.In[0].Shape(), 1)
	for i := 0; i < len(x); i += inner {
		slope := w[i/inner%channels]
		for k := i; k < i+inner; k++ {
			if y[k] = x[k]; x[k] < 0 {
				y[k] *= slope
			}
		}
	}
	return nil
}

func (PReLU) Backward(c *nn.Call) error {
	x, w, gy, gx, gw := c.X(0), c.X(1), c.GY(0), c.GX(0), c.GX(1)
	_, channels, inner := split3(c.In[0].Shape(), 1)
	sums := make([]float64, channels)
	for i := 0; i < len(x); i += inner {
		ch := i / inner % channels
		for k := i; k < i+inner; k++ {
			slope := float32(1)
			if x[k] < 0 {
				slope = w[ch]
				sums[ch] += float64(gy[k] * x[k])
			}
			if gx != nil {
				gx[k] = gy[k] * slope
			}
		}
	}
	for i := range gw {
		gw[i] = float32(sums[i])
	}
	return nil
}
