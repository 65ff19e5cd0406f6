package op

import (
	"math"

	"github.com/hibana-engine/hibana/ml/nn"
)

// MeanSquaredError is the mean of (a-b)^2. Inputs a, b of one shape; output a
// scalar.
type MeanSquaredError struct{}

func (MeanSquaredError) Name() string                            { return "MeanSquaredError" }
func (MeanSquaredError) Outputs(in []nn.Spec) ([]nn.Spec, error) { return pairOutputs(in) }

func (MeanSquaredError) Forward(c *nn.Call) error {
	a, b := c.X(0), c.X(1)
	total := 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		total += d * d
	}
	c.Y(0)[0] = float32(total / float64(len(a)))
	return nil
}

func (MeanSquaredError) Backward(c *nn.Call) error {
	a, b := c.X(0), c.X(1)
	scale := 2 * c.GY(0)[0] / float32(len(a))
	pairGrad(c, func(i int) float32 { return scale * (a[i] - b[i]) })
	return nil
}

// MeanAbsoluteError is the mean of |a-b|. Inputs a, b of one shape; output a
// scalar.
type MeanAbsoluteError struct{}

func (MeanAbsoluteError) Name() string                            { return "MeanAbsoluteError" }
func (MeanAbsoluteError) Outputs(in []nn.Spec) ([]nn.Spec, error) { return pairOutputs(in) }

func (MeanAbsoluteError) Forward(c *nn.Call) error {
	a, b := c.X(0), c.X(1)
	total := 0.0
	for i := range a {
		total += math.Abs(float64(a[i]) - float64(b[i]))
	}
	c.Y(0)[0] = float32(total / float64(len(a)))
	return nil
}

func (MeanAbsoluteError) Backward(c *nn.Call) error {
	a, b := c.X(0), c.X(1)
	scale := c.GY(0)[0] / float32(len(a))
	pairGrad(c, func(i int) float32 { return scale * sign(a[i]-b[i]) })
	return nil
}

// Huber is, elementwise, d^2/2 where d = a-b is within Delta and
// Delta*(|d|-Delta/2) beyond. Inputs a, b of one shape; output of that shape.
type Huber struct{ Delta float32 }

func (Huber) Name() string { return "HuberLoss" }

func (o Huber) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if _, err := pairOutputs(in); err != nil {
		return nil, err
	}
	if !(o.Delta > 0) {
		return nil, nn.ValueErrorf("delta %v, want more than 0", o.Delta)
	}
	return one(in[0].Shape...), nil
}

func (o Huber) Forward(c *nn.Call) error {
	b, y := c.X(1), c.Y(0)
	for i, a := range c.X(0) {
		d := a - b[i]
		if l := max(d, -d); l <= o.Delta {
			y[i] = d * d / 2
		} else {
			y[i] = o.Delta * (l - o.Delta/2)
		}
	}
	return nil
}

func (o Huber) Backward(c *nn.Call) error {
	a, b, gy := c.X(0), c.X(1), c.GY(0)
	pairGrad(c, func(i int) float32 { return gy[i] * min(max(a[i]-b[i], -o.Delta), o.Delta) })
	return nil
}

func pairOutputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 2, "a", "b"); err != nil {
		return nil, err
	}
	if !in[0].Equal(in[1]) {
		return nil, nn.ShapeErrorf("a and b need one shape")
	}
	return one(), nil
}

// pairGrad writes f to the gradient of a and -f to that of b.
func pairGrad(c *nn.Call, f func(i int) float32) {
	ga, gb := c.GX(0), c.GX(1)
	for i := range c.X(0) {
		g := f(i)
		if ga != nil {
			ga[i] = g
		}
		if gb != nil {
			gb[i] = -g
		}
	}
}
