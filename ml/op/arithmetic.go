package op

import (
	"math"
	"slices"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// Add is a + b. Inputs a, b, which broadcast by NumPy's rule; output of the
// common shape.
type Add struct{}

func (Add) Name() string                            { return "Add" }
func (Add) Outputs(in []nn.Spec) ([]nn.Spec, error) { return binaryOutputs(in) }
func (Add) Forward(c *nn.Call) error {
	return binaryForward(c, kernel.Add, func(a, b float32) float32 { return a + b })
}
func (Add) Backward(c *nn.Call) error {
	binaryGrad(c, 0, passOn, func(_, _, _, gy float32) float32 { return gy })
	binaryGrad(c, 1, passOn, func(_, _, _, gy float32) float32 { return gy })
	return nil
}

// Sub is a - b. Inputs a, b, which broadcast; output of the common shape.
type Sub struct{}

func (Sub) Name() string                            { return "Sub" }
func (Sub) Outputs(in []nn.Spec) ([]nn.Spec, error) { return binaryOutputs(in) }
func (Sub) Forward(c *nn.Call) error {
	return binaryForward(c, kernel.Sub, func(a, b float32) float32 { return a - b })
}
func (Sub) Backward(c *nn.Call) error {
	binaryGrad(c, 0, passOn, func(_, _, _, gy float32) float32 { return gy })
	binaryGrad(c, 1, nil, func(_, _, _, gy float32) float32 { return -gy })
	return nil
}

// Mul is a * b elementwise. Inputs a, b, which broadcast; output of the common
// shape.
type Mul struct{}

func (Mul) Name() string                            { return "Mul" }
func (Mul) Outputs(in []nn.Spec) ([]nn.Spec, error) { return binaryOutputs(in) }
func (Mul) Forward(c *nn.Call) error {
	return binaryForward(c, kernel.Mul, func(a, b float32) float32 { return a * b })
}
func (Mul) Backward(c *nn.Call) error {
	binaryGrad(c, 0, func(gx, _, b, gy []float32) { kernel.Mul(gx, gy, b) }, func(_, b, _, gy float32) float32 { return gy * b })
	binaryGrad(c, 1, func(gx, a, _, gy []float32) { kernel.Mul(gx, gy, a) }, func(a, _, _, gy float32) float32 { return gy * a })
	return nil
}

// Div is a / b elementwise. Inputs a, b, which broadcast; output of the common
// shape.
type Div struct{}

func (Div) Name() string                            { return "Div" }
func (Div) Outputs(in []nn.Spec) ([]nn.Spec, error) { return binaryOutputs(in) }
func (Div) Forward(c *nn.Call) error {
	return binaryForward(c, kernel.Div, func(a, b float32) float32 { return a / b })
}
func (Div) Backward(c *nn.Call) error {
	binaryGrad(c, 0, nil, func(_, b, _, gy float32) float32 { return gy / b })
	binaryGrad(c, 1, nil, func(_, b, y, gy float32) float32 { return -gy * y / b })
	return nil
}

// Pow is a to the power of b elementwise. Inputs a, b, which broadcast; output
// of the common shape. The gradient by b takes log(a) as 0 where a is 0.
type Pow struct{}

func (Pow) Name() string                            { return "Pow" }
func (Pow) Outputs(in []nn.Spec) ([]nn.Spec, error) { return binaryOutputs(in) }
func (Pow) Forward(c *nn.Call) error                { return binaryForward(c, nil, pow) }
func (Pow) Backward(c *nn.Call) error {
	binaryGrad(c, 0, nil, func(a, b, _, gy float32) float32 { return gy * b * pow(a, b-1) })
	binaryGrad(c, 1, nil, func(a, _, y, gy float32) float32 {
		if a == 0 {
			return 0
		}
		return gy * y * float32(math.Log(float64(a)))
	})
	return nil
}

func pow(a, b float32) float32 { return float32(math.Pow(float64(a), float64(b))) }

// Minimum is the smaller of a and b elementwise; the gradient goes to a where
// they are equal. Inputs a, b, which broadcast; output of the common shape.
type Minimum struct{}

func (Minimum) Name() string                            { return "Minimum" }
func (Minimum) Outputs(in []nn.Spec) ([]nn.Spec, error) { return binaryOutputs(in) }
func (Minimum) Forward(c *nn.Call) error {
	return binaryForward(c, nil, func(a, b float32) float32 { return min(a, b) })
}
func (Minimum) Backward(c *nn.Call) error {
	binaryGrad(c, 0, nil, func(a, b, _, gy float32) float32 { return chosen(a <= b, gy) })
	binaryGrad(c, 1, nil, func(a, b, _, gy float32) float32 { return chosen(a > b, gy) })
	return nil
}

// Maximum is the larger of a and b elementwise; the gradient goes to a where
// they are equal. Inputs a, b, which broadcast; output of the common shape.
type Maximum struct{}

func (Maximum) Name() string                            { return "Maximum" }
func (Maximum) Outputs(in []nn.Spec) ([]nn.Spec, error) { return binaryOutputs(in) }
func (Maximum) Forward(c *nn.Call) error {
	return binaryForward(c, nil, func(a, b float32) float32 { return max(a, b) })
}
func (Maximum) Backward(c *nn.Call) error {
	binaryGrad(c, 0, nil, func(a, b, _, gy float32) float32 { return chosen(a >= b, gy) })
	binaryGrad(c, 1, nil, func(a, b, _, gy float32) float32 { return chosen(a < b, gy) })
	return nil
}

func chosen(yes bool, g float32) float32 {
	if yes {
		return g
	}
	return 0
}

func binaryOutputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 2, "a", "b"); err != nil {
		return nil, err
	}
	s, err := broadcastShape(in[0].Shape, in[1].Shape)
	if err != nil {
		return nil, err
	}
	return one(s...), nil
}

// passOn is the gradient of a sum.
func passOn(gx, _, _, gy []float32) { copy(gx, gy[:len(gx)]) }

// binaryForward applies f elementwise; equal shapes, and rows that aren't repeated
// element by element, go through the kernel if there is one.
func binaryForward(c *nn.Call, whole func(y, a, b []float32), f func(a, b float32) float32) error {
	a, b, y := c.X(0), c.X(1), c.Y(0)
	shape := c.Out[0].Shape()
	if slices.Equal(c.In[0].Shape(), c.In[1].Shape()) {
		if whole != nil {
			whole(y, a, b)
			return nil
		}
		for i := range y {
			y[i] = f(a[i], b[i])
		}
		return nil
	}
	k := 0
	walk(shape, broadcast(c.In[0].Shape(), shape), broadcast(c.In[1].Shape(), shape), func(i, j, n, di, dj int) {
		if whole != nil && di == 1 && dj == 1 {
			whole(y[k:k+n], a[i:], b[j:])
			k += n
			return
		}
		for ; n > 0; n-- {
			y[k] = f(a[i], b[j])
			i += di
			j += dj
			k++
		}
	})
	return nil
}

// binaryGrad computes the gradient of one input, summed over where it was
// repeated. whole, unless it is nil, is f for slices, as in binaryForward.
func binaryGrad(c *nn.Call, input int, whole func(gx, a, b, gy []float32), f func(a, b, y, gy float32) float32) {
	gx := c.GX(input)
	if gx == nil {
		return
	}
	a, b, y, gy := c.X(0), c.X(1), c.Y(0), c.GY(0)
	shape := c.Out[0].Shape()
	if slices.Equal(c.In[0].Shape(), c.In[1].Shape()) {
		if whole != nil {
			whole(gx, a, b, gy)
			return
		}
		for i := range gx {
			gx[i] = f(a[i], b[i], y[i], gy[i])
		}
		return
	}
	full := gx
	repeated := !slices.Equal(c.In[input].Shape(), shape)
	if repeated {
		full = c.Scratch(len(y))
		defer c.Free(full)
	}
	k := 0
	walk(shape, broadcast(c.In[0].Shape(), shape), broadcast(c.In[1].Shape(), shape), func(i, j, n, di, dj int) {
		if whole != nil && di == 1 && dj == 1 {
			whole(full[k:k+n], a[i:], b[j:], gy[k:])
			k += n
			return
		}
		for ; n > 0; n-- {
			full[k] = f(a[i], b[j], y[k], gy[k])
			i += di
			j += dj
			k++
		}
	})
	if repeated {
		clear(gx)
		accumulate(gx, broadcast(c.In[input].Shape(), shape), full, rowMajor(shape), shape)
	}
}
