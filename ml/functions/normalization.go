package functions

import (
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// BatchNormalization normalises x (N, C, ...) with the batch's own mean and
// variance of each channel, then scales by gamma (C) and shifts by beta (C). It
// also returns mean and biased variance, detached, for running averages.
// Chainer's default eps is 2e-5.
func BatchNormalization(x, gamma, beta *nn.Variable, eps float32) (y, mean, variance *nn.Variable) {
	out := nn.Apply(op.BatchNorm{Eps: eps}, 3, x, gamma, beta)
	return out[0], out[1].Detach(), out[2].Detach()
}

// FixedBatchNormalization normalises x (N, C, ...) with given mean (C) and
// variance (C).
func FixedBatchNormalization(x, gamma, beta, mean, variance *nn.Variable, eps float32) *nn.Variable {
	return nn.Apply1(op.FixedBatchNorm{Eps: eps}, x, gamma, beta, mean, variance)
}

// LayerNormalization normalises each row of x (N, D) by its own mean and
// variance, then scales by gamma (D) and shifts by beta (D). Chainer's default
// eps is 1e-5.
func LayerNormalization(x, gamma, beta *nn.Variable, eps float32) *nn.Variable {
	return Add(Mul(nn.Apply1(op.Standardize{Eps: eps}, x), gamma), beta)
}

// GroupNormalization normalises each image's groups of channels by their own
// mean and variance, then scales by gamma (C) and shifts by beta (C). Chainer's
// default eps is 1e-5.
func GroupNormalization(x *nn.Variable, groups int, gamma, beta *nn.Variable, eps float32) *nn.Variable {
	s := x.Shape()
	if len(s) < 2 || groups < 1 || s[1]%groups != 0 {
		return invalid("GroupNormalization", nn.ShapeErrorf("want x (N, C, ...) with C a multiple of %d", groups), x)
	}
	h := nn.Apply1(op.Standardize{Eps: eps}, Reshape(x, s[0]*groups, -1))
	perChannel := make([]int, len(s)-1)
	for i := range perChannel {
		perChannel[i] = 1
	}
	perChannel[0] = s[1]
	return Add(Mul(Reshape(h, s...), Reshape(gamma, perChannel...)), Reshape(beta, perChannel...))
}

// LocalResponseNormalization divides by a power of the squares of n neighbouring
// channels: y = x/(k + alpha*sum)^beta. Chainer's defaults are n 5, k 2, alpha
// 1e-4, beta 0.75.
func LocalResponseNormalization(x *nn.Variable, n int, k, alpha, beta float32) *nn.Variable {
	return nn.Apply1(op.LocalResponseNorm{N: n, K: k, Alpha: alpha, Beta: beta}, x)
}

// Normalize divides x by its length along axis 1, plus eps. Chainer's default
// eps is 1e-5.
func Normalize(x *nn.Variable, eps float32) *nn.Variable {
	return nn.Apply1(op.L2Normalize{Axis: 1, Eps: eps}, x)
}

// Dropout sets elements to 0 with probability ratio and scales the others by
// 1/(1-ratio) in training mode; in evaluation mode it returns x. The random
// numbers come from x's tape.
func Dropout(x *nn.Variable, ratio float32) *nn.Variable {
	if ratio == 0 || !x.Tape().Training() {
		return x
	}
	return nn.Apply1(op.Dropout{Ratio: ratio}, x)
}

// DropoutMask is dropout with a given mask: x times mask, which holds 0 or
// 1/(1-ratio).
func DropoutMask(x, mask *nn.Variable) *nn.Variable { return Mul(x, mask) }
