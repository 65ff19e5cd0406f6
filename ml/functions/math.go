package functions

import (
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// Add is a + b. Shapes broadcast by NumPy's rule, here and in all functions of
// two arrays below.
func Add(a, b *nn.Variable) *nn.Variable { return nn.Apply1(op.Add{}, a, b) }

// Sub is a - b.
func Sub(a, b *nn.Variable) *nn.Variable { return nn.Apply1(op.Sub{}, a, b) }

// Mul is a * b elementwise; see MatMul for the matrix product.
func Mul(a, b *nn.Variable) *nn.Variable { return nn.Apply1(op.Mul{}, a, b) }

// Div is a / b elementwise.
func Div(a, b *nn.Variable) *nn.Variable { return nn.Apply1(op.Div{}, a, b) }

// Pow is a to the power of b elementwise.
func Pow(a, b *nn.Variable) *nn.Variable { return nn.Apply1(op.Pow{}, a, b) }

// Minimum is the smaller of a and b elementwise.
func Minimum(a, b *nn.Variable) *nn.Variable { return nn.Apply1(op.Minimum{}, a, b) }

// Maximum is the larger of a and b elementwise.
func Maximum(a, b *nn.Variable) *nn.Variable { return nn.Apply1(op.Maximum{}, a, b) }

// AddScalar is x + v.
func AddScalar(x *nn.Variable, v float32) *nn.Variable {
	return nn.Apply1(op.Affine{Scale: 1, Shift: v}, x)
}

// MulScalar is x * v.
func MulScalar(x *nn.Variable, v float32) *nn.Variable { return nn.Apply1(op.Affine{Scale: v}, x) }

// PowScalar is x to the power of v.
func PowScalar(x *nn.Variable, v float32) *nn.Variable {
	if v == 2 {
		return Square(x)
	}
	return nn.Apply1(op.PowScalar{Exponent: v}, x)
}

// Neg is -x.
func Neg(x *nn.Variable) *nn.Variable { return nn.Apply1(op.Neg{}, x) }

// Exp is e to the power of x.
func Exp(x *nn.Variable) *nn.Variable { return nn.Apply1(op.Exp{}, x) }

// Log is the natural logarithm.
func Log(x *nn.Variable) *nn.Variable { return nn.Apply1(op.Log{}, x) }

// Sqrt is the square root.
func Sqrt(x *nn.Variable) *nn.Variable { return nn.Apply1(op.Sqrt{}, x) }

// Square is x * x.
func Square(x *nn.Variable) *nn.Variable { return nn.Apply1(op.Square{}, x) }

// Absolute is |x|, with gradient 0 at 0.
func Absolute(x *nn.Variable) *nn.Variable { return nn.Apply1(op.Abs{}, x) }

// Clip is min(max(x, low), high).
func Clip(x *nn.Variable, low, high float32) *nn.Variable {
	return nn.Apply1(op.Clip{Low: low, High: high}, x)
}

// LinearInterpolate is p*a + (1-p)*b.
func LinearInterpolate(p, a, b *nn.Variable) *nn.Variable { return Add(b, Mul(p, Sub(a, b))) }

// Sum adds over the given axes, over all of them if none is given.
func Sum(x *nn.Variable, axes ...int) *nn.Variable {
	return nn.Apply1(op.Sum{Axes: op.Axes{Over: axes}}, x)
}

// SumKeepDims is Sum whose axes stay as dimensions of size 1.
func SumKeepDims(x *nn.Variable, axes ...int) *nn.Variable {
	return nn.Apply1(op.Sum{Axes: op.Axes{Over: axes, Keep: true}}, x)
}

// Mean averages over the given axes, over all of them if none is given.
func Mean(x *nn.Variable, axes ...int) *nn.Variable {
	return nn.Apply1(op.Mean{Axes: op.Axes{Over: axes}}, x)
}

// MeanKeepDims is Mean whose axes stay as dimensions of size 1.
func MeanKeepDims(x *nn.Variable, axes ...int) *nn.Variable {
	return nn.Apply1(op.Mean{Axes: op.Axes{Over: axes, Keep: true}}, x)
}

// Max is the largest element over the given axes, over all of them if none is
// given. The gradient goes to every element that equals it.
func Max(x *nn.Variable, axes ...int) *nn.Variable {
	return nn.Apply1(op.Max{Axes: op.Axes{Over: axes}}, x)
}

// MaxKeepDims is Max whose axes stay as dimensions of size 1.
func MaxKeepDims(x *nn.Variable, axes ...int) *nn.Variable {
	return nn.Apply1(op.Max{Axes: op.Axes{Over: axes, Keep: true}}, x)
}

// Min is the smallest element over the given axes, over all of them if none is
// given. The gradient goes to every element that equals it.
func Min(x *nn.Variable, axes ...int) *nn.Variable {
	return nn.Apply1(op.Min{Axes: op.Axes{Over: axes}}, x)
}

// MinKeepDims is Min whose axes stay as dimensions of size 1.
func MinKeepDims(x *nn.Variable, axes ...int) *nn.Variable {
	return nn.Apply1(op.Min{Axes: op.Axes{Over: axes, Keep: true}}, x)
}

// LogSumExp is log(sum(exp(x))) along an axis, computed without overflow.
func LogSumExp(x *nn.Variable, axis int) *nn.Variable { return nn.Apply1(op.LogSumExp{Axis: axis}, x) }

// Argmax is the index of the largest element along an axis, as int32. It has no
// gradient.
func Argmax(x *nn.Variable, axis int) *nn.Variable { return nn.Apply1(op.Argmax{Axis: axis}, x) }

// MatMul is the product of two matrices, or of two batches of matrices
// (B, M, K) and (B, K, N) one by one.
func MatMul(a, b *nn.Variable) *nn.Variable { return nn.Apply1(op.MatMul{}, a, b) }

// MatMulTrans is MatMul with a or b transposed first.
func MatMulTrans(a, b *nn.Variable, transA, transB bool) *nn.Variable {
	return nn.Apply1(op.MatMul{TransA: transA, TransB: transB}, a, b)
}

// Affine is scale*x + shift for given numbers.
func Affine(x *nn.Variable, scale, shift float32) *nn.Variable {
	return nn.Apply1(op.Affine{Scale: scale, Shift: shift}, x)
}
