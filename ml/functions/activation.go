package functions

import (
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// ReLU is max(x, 0).
func ReLU(x *nn.Variable) *nn.Variable { return nn.Apply1(op.ReLU{}, x) }

// LeakyReLU is x where x >= 0, else slope*x. Chainer's default slope is 0.2.
func LeakyReLU(x *nn.Variable, slope float32) *nn.Variable {
	return nn.Apply1(op.LeakyReLU{Slope: slope}, x)
}

// ELU is x where x >= 0, else alpha*(exp(x)-1). Chainer's default alpha is 1.
func ELU(x *nn.Variable, alpha float32) *nn.Variable { return nn.Apply1(op.ELU{Alpha: alpha}, x) }

// Sigmoid is 1/(1+exp(-x)).
func Sigmoid(x *nn.Variable) *nn.Variable { return nn.Apply1(op.Sigmoid{}, x) }

// Tanh is the hyperbolic tangent.
func Tanh(x *nn.Variable) *nn.Variable { return nn.Apply1(op.Tanh{}, x) }

// Softplus is log(1+exp(x)).
func Softplus(x *nn.Variable) *nn.Variable { return nn.Apply1(op.Softplus{Beta: 1}, x) }

// ClippedReLU is min(max(x, 0), z). Chainer's default z is 20.
func ClippedReLU(x *nn.Variable, z float32) *nn.Variable { return nn.Apply1(op.ClippedReLU{Z: z}, x) }

// HardSigmoid is min(max(0.2*x+0.5, 0), 1).
func HardSigmoid(x *nn.Variable) *nn.Variable { return nn.Apply1(op.HardSigmoid{}, x) }

// PReLU is x where x >= 0, else w*x with one slope w for each channel of
// x (N, C, ...).
func PReLU(x, w *nn.Variable) *nn.Variable { return nn.Apply1(op.PReLU{}, x, w) }

// Maxout is the largest of each group of pool neighbours along axis 1: x
// (N, C, ...) gives (N, C/pool, ...).
func Maxout(x *nn.Variable, pool int) *nn.Variable {
	s := x.Shape()
	if len(s) < 2 || pool < 1 || s[1]%pool != 0 {
		return invalid("Maxout", nn.ShapeErrorf("axis 1 is not a multiple of %d", pool), x)
	}
	shape := append([]int{s[0], s[1] / pool, pool}, s[2:]...)
	return Max(Reshape(x, shape...), 2)
}

// Softmax is exp(x)/sum(exp(x)) along axis 1.
func Softmax(x *nn.Variable) *nn.Variable { return SoftmaxAlong(x, 1) }

// SoftmaxAlong is Softmax along any axis.
func SoftmaxAlong(x *nn.Variable, axis int) *nn.Variable { return nn.Apply1(op.Softmax{Axis: axis}, x) }

// LogSoftmax is the logarithm of Softmax along axis 1, exact where Softmax
// underflows.
func LogSoftmax(x *nn.Variable) *nn.Variable { return LogSoftmaxAlong(x, 1) }

// LogSoftmaxAlong is LogSoftmax along any axis.
func LogSoftmaxAlong(x *nn.Variable, axis int) *nn.Variable {
	return nn.Apply1(op.LogSoftmax{Axis: axis}, x)
}
