package functions

import (
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// LossOption changes how a classification loss or accuracy counts.
type LossOption func(*lossOptions)

type lossOptions struct {
	hasIgnore  bool
	ignore     int32
	byBatch    bool
	perElement bool
	weight     []float32
}

func collect(defaults lossOptions, options []LossOption) lossOptions {
	for _, o := range options {
		o(&defaults)
	}
	return defaults
}

// IgnoreLabel leaves elements with this label out. SoftmaxCrossEntropy ignores
// -1 unless told otherwise.
func IgnoreLabel(label int32) LossOption {
	return func(o *lossOptions) { o.hasIgnore, o.ignore = true, label }
}

// ByBatch divides the sum by the batch size instead of the number of labels that
// count (Chainer's normalize=False).
func ByBatch() LossOption { return func(o *lossOptions) { o.byBatch = true } }

// PerElement gives each element's loss instead of their mean (Chainer's
// reduce='no').
func PerElement() LossOption { return func(o *lossOptions) { o.perElement = true } }

// ClassWeight multiplies each element's loss by its label's weight.
func ClassWeight(w []float32) LossOption { return func(o *lossOptions) { o.weight = w } }

// SoftmaxCrossEntropy is the mean of -log(softmax(x)[t]) for scores x (N, C, ...)
// and int32 labels t (N, ...). Options: IgnoreLabel, ByBatch, PerElement,
// ClassWeight.
func SoftmaxCrossEntropy(x, t *nn.Variable, options ...LossOption) *nn.Variable {
	o := collect(lossOptions{hasIgnore: true, ignore: -1}, options)
	in := []*nn.Variable{x, t}
	if o.weight != nil {
		in = append(in, nn.From(x.Tape(), o.weight, len(o.weight)))
	}
	return nn.Apply1(op.SoftmaxCrossEntropy{HasIgnore: o.hasIgnore, Ignore: o.ignore, ByBatch: o.byBatch, PerElement: o.perElement}, in...)
}

// SigmoidCrossEntropy is the mean logistic loss of logits x against int32 labels
// t of the same shape, 0 or 1, or -1 to ignore the element. Options: ByBatch,
// PerElement.
func SigmoidCrossEntropy(x, t *nn.Variable, options ...LossOption) *nn.Variable {
	o := collect(lossOptions{}, options)
	return nn.Apply1(op.SigmoidCrossEntropy{ByBatch: o.byBatch, PerElement: o.perElement}, x, t)
}

// MeanSquaredError is the mean of (a-b)^2.
func MeanSquaredError(a, b *nn.Variable) *nn.Variable { return nn.Apply1(op.MeanSquaredError{}, a, b) }

// MeanAbsoluteError is the mean of |a-b|.
func MeanAbsoluteError(a, b *nn.Variable) *nn.Variable {
	return nn.Apply1(op.MeanAbsoluteError{}, a, b)
}

// HuberLoss is squared error/2 within delta and linear beyond, summed over axis
// 1: a and b (N, D) give (N).
func HuberLoss(a, b *nn.Variable, delta float32) *nn.Variable {
	return Sum(nn.Apply1(op.Huber{Delta: delta}, a, b), 1)
}

// BernoulliNLL is the negative log-likelihood of x in [0, 1] under Bernoulli
// distributions with the given logits, summed.
func BernoulliNLL(x, logits *nn.Variable) *nn.Variable {
	return Sum(Sub(Softplus(logits), Mul(x, logits)))
}

// GaussianKLDivergence is the Kullback-Leibler divergence of normal
// distributions, given by mean and logarithm of variance, from the standard
// one, summed.
func GaussianKLDivergence(mean, logVariance *nn.Variable) *nn.Variable {
	terms := Sub(Add(Square(mean), Exp(logVariance)), logVariance)
	return MulScalar(Sum(AddScalar(terms, -1)), 0.5)
}

// Accuracy is the share of rows of scores x (N, C, ...) whose largest element is
// at the int32 label t (N, ...). It has no gradient. Option: IgnoreLabel.
func Accuracy(x, t *nn.Variable, options ...LossOption) *nn.Variable {
	o := collect(lossOptions{}, options)
	return nn.Apply1(op.Accuracy{HasIgnore: o.hasIgnore, Ignore: o.ignore}, x, t)
}

// BinaryAccuracy is the share of elements where x >= 0 says the int32 label 1 or
// x < 0 the label 0; label -1 doesn't count. It has no gradient.
func BinaryAccuracy(x, t *nn.Variable) *nn.Variable { return nn.Apply1(op.BinaryAccuracy{}, x, t) }
