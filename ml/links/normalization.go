package links

import (
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// BatchNormalizationLink is made by BatchNormalization.
type BatchNormalizationLink struct {
	Chain
	Gamma, Beta *nn.Parameter // persistent ones where left out by an option
	AvgMean     *nn.Parameter
	AvgVar      *nn.Parameter
	Decay       float64
	Eps         float64
	// N counts the batches of the fine-tuning that Chainer knows. It is only
	// kept for its files.
	N int
}

// BatchNormalization normalises each channel, (x - mean)/sqrt(variance + eps)
// times gamma plus beta (arXiv:1502.03167): in training by the batch's own
// statistics, whose running averages it keeps, otherwise by the averages. size
// is the number of channels, or 0 to take it from the first input.
//
// Options: Decay, Eps, NoGamma, NoBeta.
func BatchNormalization(size int, opts ...Option) *BatchNormalizationLink {
	o := newOptions("BatchNormalization", opts, "Decay", "Eps", "NoGamma", "NoBeta")
	o.atLeast(0, "channels", size)
	l := &BatchNormalizationLink{Decay: o.decay, Eps: o.eps}
	l.bad = o.err
	var shape []int
	if size > 0 {
		shape = []int{size}
	}
	one, zero := nn.Constant(1), nn.Constant(0)
	l.Gamma, l.Beta = nn.NewPersistent("gamma", one, shape...), nn.NewPersistent("beta", zero, shape...)
	if !o.noGamma {
		l.Gamma = AddParameter(l, "gamma", one, shape...)
	}
	if !o.noBeta {
		l.Beta = AddParameter(l, "beta", zero, shape...)
	}
	l.AvgMean = AddPersistent(l, "avg_mean", zero, shape...)
	l.AvgVar = AddPersistent(l, "avg_var", one, shape...)
	l.addCounter("N", &l.N)
	return l
}

// Forward takes x (batch, channel, ...) and gives the same shape.
func (l *BatchNormalizationLink) Forward(x *nn.Variable) *nn.Variable {
	if l.bad != nil {
		return l.failed(x, "BatchNormalization", l.bad)
	}
	for _, p := range []*nn.Parameter{l.Gamma, l.Beta, l.AvgMean, l.AvgVar} {
		err := initialize(p, x, max(len(x.Shape()), 2), func(x []int) []int { return x[1:2] })
		if err != nil {
			return failed(x, "BatchNormalization", p, err)
		}
	}
	if !x.Tape().Training() {
		return nn.Apply1(op.FixedBatchNorm{Eps: float32(l.Eps)}, vars(x, l.Gamma, l.Beta, l.AvgMean, l.AvgVar)...)
	}
	out := nn.Apply(op.BatchNorm{Eps: float32(l.Eps)}, 3, vars(x, l.Gamma, l.Beta)...)
	if out[0].Err() == nil && !x.Tape().Tracing() {
		l.average(out[1].Floats(), out[2].Floats(), x.Spec().Size()/x.Dim(1))
	}
	return out[0]
}

// average moves the running averages towards a batch's statistics over n
// values a channel; the variance is made unbiased.
func (l *BatchNormalizationLink) average(mean, variance []float32, n int) {
	d := float32(l.Decay)
	adjust := float32(n) / float32(max(n-1, 1))
	avgMean, avgVar := l.AvgMean.Floats(), l.AvgVar.Floats()
	for i := range avgMean {
		avgMean[i] = d*avgMean[i] + (1-d)*mean[i]
		avgVar[i] = d*avgVar[i] + (1-d)*variance[i]*adjust
	}
}
