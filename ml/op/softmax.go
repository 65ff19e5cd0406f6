package op

import (
	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// Softmax is exp(x)/sum(exp(x)) along Axis, computed without overflow; other
// rows never enter. Input x; output of the same shape.
type Softmax struct{ Axis int }

func (Softmax) Name() string { return "Softmax" }

func (o Softmax) Outputs(in []nn.Spec) ([]nn.Spec, error) { return alongAxis(in, o.Axis) }

func (o Softmax) Forward(c *nn.Call) error {
	outer, n, inner := around(c.In[0], o.Axis)
	kernel.Softmax(c.Y(0), c.X(0), outer, n, inner)
	return nil
}

func (o Softmax) Backward(c *nn.Call) error {
	outer, n, inner := around(c.In[0], o.Axis)
	kernel.SoftmaxGrad(c.GX(0), c.Y(0), c.GY(0), outer, n, inner)
	return nil
}

// LogSoftmax is the logarithm of Softmax, exact where Softmax underflows.
// Input x; output of the same shape.
type LogSoftmax struct{ Axis int }

func (LogSoftmax) Name() string { return "LogSoftmax" }

func (o LogSoftmax) Outputs(in []nn.Spec) ([]nn.Spec, error) { return alongAxis(in, o.Axis) }

func (o LogSoftmax) Forward(c *nn.Call) error {
	outer, n, inner := around(c.In[0], o.Axis)
	kernel.LogSoftmax(c.Y(0), c.X(0), outer, n, inner)
	return nil
}

func (o LogSoftmax) Backward(c *nn.Call) error {
	outer, n, inner := around(c.In[0], o.Axis)
	kernel.LogSoftmaxGrad(c.GX(0), c.Y(0), c.GY(0), outer, n, inner)
	return nil
}

func alongAxis(in []nn.Spec, axis int) ([]nn.Spec, error) {
	out, err := sameShape(in)
	if err != nil {
		return nil, err
	}
	_, err = axisOf(axis, len(in[0].Shape))
	return out, err
}

// around is split3 of an array around an axis that Outputs has checked.
func around(x *tensor.Dense, axis int) (outer, n, inner int) {
	s := x.Shape()
	return split3(s, mustAxis(axis, len(s)))
}
