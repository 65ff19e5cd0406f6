package op

import (
	"math"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// Neg is -x. Input x; output of the same shape.
type Neg struct{}

func (Neg) Name() string                            { return "Neg" }
func (Neg) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (Neg) BackwardInPlace()                        {}
func (Neg) Forward(c *nn.Call) error {
	return unary(c, func(x float32) float32 { return -x })
}
func (Neg) Backward(c *nn.Call) error {
	return unaryGrad(c, func(_, _, gy float32) float32 { return -gy })
}

// Exp is e to the power of x. Input x; output of the same shape.
type Exp struct{}

func (Exp) Name() string                            { return "Exp" }
func (Exp) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (Exp) Forward(c *nn.Call) error                { kernel.Exp(c.Y(0), c.X(0)); return nil }
func (Exp) BackwardInPlace()                        {}
func (Exp) Backward(c *nn.Call) error               { kernel.Mul(c.GX(0), c.GY(0), c.Y(0)); return nil }

// Log is the natural logarithm. Input x; output of the same shape.
type Log struct{}

func (Log) Name() string                            { return "Log" }
func (Log) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (Log) BackwardInPlace()                        {}
func (Log) Forward(c *nn.Call) error {
	return unary(c, func(x float32) float32 { return float32(math.Log(float64(x))) })
}
func (Log) Backward(c *nn.Call) error {
	return unaryGrad(c, func(x, _, gy float32) float32 { return gy / x })
}

// Sqrt is the square root. Input x; output of the same shape.
type Sqrt struct{}

func (Sqrt) Name() string                            { return "Sqrt" }
func (Sqrt) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (Sqrt) BackwardInPlace()                        {}
func (Sqrt) Forward(c *nn.Call) error {
	return unary(c, func(x float32) float32 { return float32(math.Sqrt(float64(x))) })
}
func (Sqrt) Backward(c *nn.Call) error {
	return unaryGrad(c, func(_, y, gy float32) float32 { return gy / (2 * y) })
}

// Square is x*x. Input x; output of the same shape.
type Square struct{}

func (Square) Name() string                            { return "Square" }
func (Square) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (Square) Forward(c *nn.Call) error                { kernel.Mul(c.Y(0), c.X(0), c.X(0)); return nil }
func (Square) BackwardInPlace()                        {}
func (Square) Backward(c *nn.Call) error {
	return unaryGrad(c, func(x, _, gy float32) float32 { return 2 * x * gy })
}

// Abs is the absolute value, with gradient 0 at 0. Input x; output of the same
// shape.
type Abs struct{}

func (Abs) Name() string                            { return "Abs" }
func (Abs) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (Abs) BackwardInPlace()                        {}
func (Abs) Forward(c *nn.Call) error {
	return unary(c, func(x float32) float32 { return max(x, -x) })
}
func (Abs) Backward(c *nn.Call) error {
	return unaryGrad(c, func(x, _, gy float32) float32 { return gy * sign(x) })
}

func sign(x float32) float32 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

// Affine is Scale*x + Shift: every sum and product with a number. Input x;
// output of the same shape.
type Affine struct{ Scale, Shift float32 }

func (Affine) Name() string                            { return "Affine" }
func (Affine) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (Affine) BackwardInPlace()                        {}
func (o Affine) Forward(c *nn.Call) error {
	return unary(c, func(x float32) float32 { return o.Scale*x + o.Shift })
}
func (o Affine) Backward(c *nn.Call) error {
	return unaryGrad(c, func(_, _, gy float32) float32 { return gy * o.Scale })
}

// PowScalar is x to the power of Exponent. Input x; output of the same shape.
type PowScalar struct{ Exponent float32 }

func (PowScalar) Name() string                            { return "PowScalar" }
func (PowScalar) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (PowScalar) BackwardInPlace()                        {}
func (o PowScalar) Forward(c *nn.Call) error {
	return unary(c, func(x float32) float32 { return pow(x, o.Exponent) })
}
func (o PowScalar) Backward(c *nn.Call) error {
	return unaryGrad(c, func(x, _, gy float32) float32 { return gy * o.Exponent * pow(x, o.Exponent-1) })
}

// Clip is min(max(x, Low), High), with gradient where x lies between, bounds
// included. Input x; output of the same shape.
type Clip struct{ Low, High float32 }

func (Clip) Name() string { return "Clip" }

func (o Clip) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if !(o.Low <= o.High) {
		return nil, nn.ValueErrorf("clip to %v..%v", o.Low, o.High)
	}
	return sameShape(in)
}

func (Clip) BackwardInPlace() {}
func (o Clip) Forward(c *nn.Call) error {
	return unary(c, func(x float32) float32 { return min(max(x, o.Low), o.High) })
}
func (o Clip) Backward(c *nn.Call) error {
	return unaryGrad(c, func(x, _, gy float32) float32 { return chosen(x >= o.Low && x <= o.High, gy) })
}

func unary(c *nn.Call, f func(x float32) float32) error {
	y := c.Y(0)
	for i, x := range c.X(0) {
		y[i] = f(x)
	}
	return nil
}

func unaryGrad(c *nn.Call, f func(x, y, gy float32) float32) error {
	x, y, gx := c.X(0), c.Y(0), c.GX(0)
	for i, gy := range c.GY(0) {
		gx[i] = f(x[i], y[i], gy)
	}
	return nil
}
