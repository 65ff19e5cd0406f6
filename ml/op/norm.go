package op

import (
	"slices"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// BatchNorm normalises with the batch's own statistics:
// gamma*(x-mean)/sqrt(variance+Eps) + beta (arXiv:1502.03167). The statistics go
// over the first axis and those after gamma's. Inputs x (N, C..., ...),
// gamma (C...), beta (C...); outputs y of x's shape, and mean and biased
// variance of gamma's shape, which have no gradient of their own.
type BatchNorm struct{ Eps float32 }

func (BatchNorm) Name() string { return "BatchNormalization" }

func (o BatchNorm) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 3, "x", "gamma", "beta"); err != nil {
		return nil, err
	}
	if err := checkChannels(in); err != nil {
		return nil, err
	}
	return []nn.Spec{nn.FloatSpec(in[0].Shape...), nn.FloatSpec(in[1].Shape...), nn.FloatSpec(in[1].Shape...)}, nil
}

// checkChannels says whether in[1:] all have the shape of x's axes after the
// first.
func checkChannels(in []nn.Spec) error {
	x, gamma := in[0].Shape, in[1].Shape
	if len(gamma) == 0 || len(x) <= len(gamma) || !slices.Equal(x[1:1+len(gamma)], gamma) {
		return nn.ShapeErrorf("want x (N, C, ...) and gamma (C)")
	}
	for _, s := range in[2:] {
		if !slices.Equal(s.Shape, gamma) {
			return nn.ShapeErrorf("gamma, beta and statistics need one shape")
		}
	}
	return nil
}

// channels splits x's size into batch, channels and the rest.
func channels(c *nn.Call) (n, ch, inner int) {
	x, gamma := c.In[0].Shape(), c.In[1].Shape()
	return x[0], size(gamma), size(x[1+len(gamma):])
}

func (o BatchNorm) Forward(c *nn.Call) error {
	n, ch, inner := channels(c)
	invStd := c.Keep(ch)
	kernel.BatchNormTrain(c.Y(0), c.X(0), c.X(1), c.X(2), c.Y(1), c.Y(2), invStd, n, ch, inner, o.Eps)
	c.Saved = invStd
	return nil
}

func (o BatchNorm) Backward(c *nn.Call) error {
	n, ch, inner := channels(c)
	if c.GY(0) == nil {
		for i := range c.GradIn {
			clear(c.GX(i))
		}
		return nil
	}
	g := [3][]float32{c.GX(0), c.GX(1), c.GX(2)}
	for i, need := range [3]int{n * ch * inner, ch, ch} {
		if g[i] == nil {
			g[i] = c.Scratch(need)
			defer c.Free(g[i])
		}
	}
	kernel.BatchNormGrad(g[0], g[1], g[2], c.X(0), c.GY(0), c.X(1), c.Y(1), c.Saved.([]float32), n, ch, inner)
	return nil
}

// FixedBatchNorm normalises with given statistics. Inputs x (N, C..., ...),
// gamma, beta, mean, variance (C...); output of x's shape.
type FixedBatchNorm struct{ Eps float32 }

func (FixedBatchNorm) Name() string { return "FixedBatchNormalization" }

func (o FixedBatchNorm) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 5, "x", "gamma", "beta", "mean", "variance"); err != nil {
		return nil, err
	}
	if err := checkChannels(in); err != nil {
		return nil, err
	}
	return one(in[0].Shape...), nil
}

func (o FixedBatchNorm) Forward(c *nn.Call) error {
	n, ch, inner := channels(c)
	kernel.BatchNormInfer(c.Y(0), c.X(0), c.X(1), c.X(2), c.X(3), c.X(4), n, ch, inner, o.Eps)
	return nil
}

func (o FixedBatchNorm) Backward(c *nn.Call) error {
	n, ch, inner := channels(c)
	gamma, mean, variance := c.X(1), c.X(3), c.X(4)
	buf := c.Scratch(4 * ch)
	defer c.Free(buf)
	inv, scale, sumG, sumXG := buf[:ch], buf[ch:2*ch], buf[2*ch:3*ch], buf[3*ch:]
	for k, v := range variance {
		inv[k] = invRoot(v + o.Eps)
		scale[k] = gamma[k] * inv[k]
	}
	kernel.ChannelGrad(c.GX(0), sumG, sumXG, c.X(0), c.GY(0), scale, mean, n, ch, inner)
	for k := range ch {
		put(c.GX(1), k, sumXG[k]*inv[k])
		put(c.GX(2), k, sumG[k])
		put(c.GX(3), k, -sumG[k]*scale[k])
		put(c.GX(4), k, -0.5*sumXG[k]*scale[k]*inv[k]*inv[k])
	}
	return nil
}

func put(g []float32, k int, v float32) {
	if g != nil {
		g[k] = v
	}
}

// Standardize gives each row mean 0 and variance 1: (x-mean)/sqrt(variance+Eps).
// Layer and group normalisation scale its result. Input x (N, D); output of the
// same shape.
type Standardize struct{ Eps float32 }

func (Standardize) Name() string { return "Standardize" }

func (Standardize) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	out, err := sameShape(in)
	if err == nil && len(in[0].Shape) != 2 {
		err = nn.ShapeErrorf("want x (N, D)")
	}
	return out, err
}

func (o Standardize) Forward(c *nn.Call) error {
	n, d := c.In[0].Shape()[0], c.In[0].Shape()[1]
	inv := c.Keep(n)
	for i := range n {
		x, y := c.X(0)[i*d:(i+1)*d], c.Y(0)[i*d:(i+1)*d]
		mean := kernel.Sum(x) / float32(d)
		kernel.Affine(y, x, 1, -mean)
		inv[i] = invRoot(float32(kernel.SumSquares(y)/float64(d)) + o.Eps)
		kernel.Scale(y, inv[i])
	}
	c.Saved = inv
	return nil
}

func (o Standardize) Backward(c *nn.Call) error {
	n, d := c.In[0].Shape()[0], c.In[0].Shape()[1]
	inv := c.Saved.([]float32)
	for i := range n {
		y, gy, gx := c.Y(0)[i*d:(i+1)*d], c.GY(0)[i*d:(i+1)*d], c.GX(0)[i*d:(i+1)*d]
		meanG, meanYG := kernel.Sum(gy)/float32(d), kernel.Dot(y, gy)/float32(d)
		kernel.NormGrad(gx, y, gy, 0, 1, meanG, meanYG, inv[i])
	}
	return nil
}
