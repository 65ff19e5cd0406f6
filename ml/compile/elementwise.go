package compile

import (
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// fusedActivation returns the activation that the kernels apply for an operation.
func fusedActivation(o nn.Op) (kernel.Activation, bool) {
	switch o := o.(type) {
	case op.ReLU:
		return kernel.ReLUActivation, true
	case op.LeakyReLU:
		return kernel.LeakyReLUActivation, o.Slope == 0.2
	case op.Clip:
		return kernel.ReLU6Activation, o == op.Clip{Low: 0, High: 6}
	case op.ClippedReLU:
		return kernel.ReLU6Activation, o.Z == 6
	case op.Sigmoid:
		return kernel.SigmoidActivation, true
	case op.Tanh:
		return kernel.TanhActivation, true
	}
	return kernel.Identity, false
}

// unaryFunc returns the function of an elementwise operation, nil for any other.
// It may be called with y and x the same slice.
func unaryFunc(o nn.Op) func(y, x []float32) {
	switch o := o.(type) {
	case op.ReLU:
		return kernel.ReLU
	case op.LeakyReLU:
		return func(y, x []float32) { kernel.LeakyReLU(y, x, o.Slope) }
	case op.ELU:
		return func(y, x []float32) { kernel.ELU(y, x, o.Alpha) }
	case op.Sigmoid:
		return kernel.Sigmoid
	case op.Tanh:
		return kernel.Tanh
	case op.Softplus:
		return func(y, x []float32) { kernel.Softplus(y, x, o.Beta) }
	case op.ClippedReLU:
		return func(y, x []float32) { kernel.ClippedReLU(y, x, o.Z) }
	case op.HardSigmoid:
		return kernel.HardSigmoid
	case op.Exp:
		return kernel.Exp
	case op.RoundHalf:
		return kernel.RoundHalf
	case op.Square:
		return func(y, x []float32) { kernel.Mul(y, x, x) }
	case op.Clip:
		return func(y, x []float32) { kernel.Clip(y, x, o.Low, o.High) }
	case op.Sqrt:
		return kernel.Sqrt
	case op.Map:
		f := o.Func()
		return func(y, x []float32) {
			for i, v := range x {
				y[i] = f(v)
			}
		}
	case op.Affine:
		return func(y, x []float32) { kernel.Affine(y, x, o.Scale, o.Shift) }
	}
	return nil
}

// binaryFunc returns the function of an elementwise operation on two arrays of
// one shape, nil for any other. y may be a or b.
func binaryFunc(o nn.Op) func(y, a, b []float32) {
	switch o.(type) {
	case op.Add:
		return kernel.Add
	case op.Sub:
		return kernel.Sub
	case op.Mul:
		return kernel.Mul
	case op.Div:
		return kernel.Div
	case op.Maximum:
		return func(y, a, b []float32) {
			for i, v := range a {
				y[i] = max(v, b[i])
			}
		}
	case op.Minimum:
		return func(y, a, b []float32) {
			for i, v := range a {
				y[i] = min(v, b[i])
			}
		}
	}
	return nil
}
