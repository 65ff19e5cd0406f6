package op

import (
	"math"
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// SoftmaxCrossEntropy is -log(softmax(x)[t]), averaged, or element by element
// with PerElement. Elements whose label is Ignore (if HasIgnore) count as 0.
// The average is over the labels that aren't ignored, or over N with ByBatch.
// Inputs x (N, C, ...), t int32 (N, ...), [w (C), a weight for each class];
// output a scalar, or t's shape.
type SoftmaxCrossEntropy struct {
	HasIgnore  bool
	Ignore     int32
	ByBatch    bool
	PerElement bool
}

func (SoftmaxCrossEntropy) Name() string { return "SoftmaxCrossEntropy" }

func (o SoftmaxCrossEntropy) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkCount(in, 2, "x", "t", "w"); err != nil {
		return nil, err
	}
	x, t := in[0], in[1]
	if x.Dtype != tensor.Float32 || len(x.Shape) < 2 || !labelsFit(x.Shape, t) {
		return nil, nn.ShapeErrorf("want x (N, C, ...) and int32 t (N, ...)")
	}
	if len(in) == 3 && !in[2].Equal(nn.FloatSpec(x.Shape[1])) {
		return nil, nn.ShapeErrorf("want a weight for each of %d classes", x.Shape[1])
	}
	if o.PerElement {
		return one(t.Shape...), nil
	}
	return one(), nil
}

// labelsFit tells whether t is int32 and has x's shape without axis 1.
func labelsFit(x []int, t nn.Spec) bool {
	return t.Dtype == tensor.Int32 && len(t.Shape) == len(x)-1 &&
		t.Shape[0] == x[0] && slices.Equal(t.Shape[1:], x[2:])
}

// crossEntropyState is what Forward leaves for Backward: log-probabilities and
// the factor of the average.
type crossEntropyState struct {
	logp  []float32
	scale float32
}

func (o SoftmaxCrossEntropy) Forward(c *nn.Call) error {
	n, classes, inner := split3(c.In[0].Shape(), 1)
	logp := c.Keep(len(c.X(0)))
	kernel.LogSoftmax(logp, c.X(0), n, classes, inner)
	w, y := c.X(2), c.Y(0)
	total, count := 0.0, 0
	for i, label := range nn.Ints(c.In[1]) {
		if o.HasIgnore && label == o.Ignore {
			if o.PerElement {
				y[i] = 0
			}
			continue
		}
		if label < 0 || int(label) >= classes {
			return labelError(label, i, classes, o.HasIgnore, o.Ignore)
		}
		loss := -logp[(i/inner*classes+int(label))*inner+i%inner]
		if w != nil {
			loss *= w[label]
		}
		if o.PerElement {
			y[i] = loss
		}
		total += float64(loss)
		count++
	}
	if o.ByBatch {
		count = n
	}
	s := crossEntropyState{logp, 1}
	if !o.PerElement {
		s.scale = 1 / float32(max(count, 1))
		y[0] = float32(total) * s.scale
	}
	c.Saved = s
	return nil
}

func labelError(label int32, i, classes int, hasIgnore bool, ignore int32) error {
	if hasIgnore {
		return nn.ValueErrorf("label %d at element %d, want 0..%d or %d to ignore it", label, i, classes-1, ignore)
	}
	return nn.ValueErrorf("label %d at element %d, want 0..%d", label, i, classes-1)
}

func (o SoftmaxCrossEntropy) Backward(c *nn.Call) error {
	gx := c.GX(0)
	if gx == nil {
		clear(c.GX(2)) // class weights are given, not learnt
		return nil
	}
	_, classes, inner := split3(c.In[0].Shape(), 1)
	s := c.Saved.(crossEntropyState)
	w, gy := c.X(2), c.GY(0)
	kernel.Exp(gx, s.logp)
	for i, label := range nn.Ints(c.In[1]) {
		first := i/inner*classes*inner + i%inner
		var scale float32
		if !(o.HasIgnore && label == o.Ignore) {
			scale = s.scale * gy[min(i, len(gy)-1)]
			if w != nil {
				scale *= w[label]
			}
			gx[first+int(label)*inner]--
		}
		for k := first; k < first+classes*inner; k += inner {
			gx[k] *= scale
		}
	}
	clear(c.GX(2))
	return nil
}

// SigmoidCrossEntropy is the logistic loss of logits x against labels t in
// {0, 1}; elements with label -1 are ignored. It is averaged over those that
// aren't ignored, over N with ByBatch, or given element by element with
// PerElement. Inputs x, t int32 of one shape; output a scalar, or x's shape.
type SigmoidCrossEntropy struct{ ByBatch, PerElement bool }

func (SigmoidCrossEntropy) Name() string { return "SigmoidCrossEntropy" }

func (o SigmoidCrossEntropy) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkCount(in, 2, "x", "t"); err != nil {
		return nil, err
	}
	x, t := in[0], in[1]
	if x.Dtype != tensor.Float32 || t.Dtype != tensor.Int32 || !slices.Equal(x.Shape, t.Shape) || len(x.Shape) == 0 {
		return nil, nn.ShapeErrorf("want x and int32 t of one shape")
	}
	if o.PerElement {
		return one(x.Shape...), nil
	}
	return one(), nil
}

func (o SigmoidCrossEntropy) Forward(c *nn.Call) error {
	y := c.Y(0)
	total, count := 0.0, 0
	for i, x := range c.X(0) {
		t := nn.Ints(c.In[1])[i]
		if t < -1 || t > 1 {
			return nn.ValueErrorf("label %d at element %d, want 0, 1 or -1 to ignore it", t, i)
		}
		loss := 0.0
		if t >= 0 {
			v := float64(x)
			loss = math.Max(v, 0) - v*float64(t) + math.Log1p(math.Exp(-math.Abs(v)))
			count++
		}
		if o.PerElement {
			y[i] = float32(loss)
		}
		total += loss
	}
	if o.ByBatch {
		count = c.In[0].Shape()[0]
	}
	scale := float32(1)
	if !o.PerElement {
		scale = 1 / float32(max(count, 1))
		y[0] = float32(total) * scale
	}
	c.Saved = scale
	return nil
}

func (o SigmoidCrossEntropy) Backward(c *nn.Call) error {
	gx, gy, scale := c.GX(0), c.GY(0), c.Saved.(float32)
	kernel.Sigmoid(gx, c.X(0))
	for i, t := range nn.Ints(c.In[1]) {
		if t < 0 {
			gx[i] = 0
			continue
		}
		gx[i] = (gx[i] - float32(t)) * scale * gy[min(i, len(gy)-1)]
	}
	return nil
}
