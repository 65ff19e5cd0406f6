package op

import (
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/nn"
)

// Accuracy is the share of elements whose largest score is at the label; those
// with label Ignore (if HasIgnore) don't count. Inputs x (N, C, ...), t int32
// (N, ...); output a scalar. It has no gradient.
type Accuracy struct {
	HasIgnore bool
	Ignore    int32
}

func (Accuracy) Name() string { return "Accuracy" }

func (o Accuracy) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkCount(in, 2, "x", "t"); err != nil {
		return nil, err
	}
	x, t := in[0], in[1]
	if x.Dtype != tensor.Float32 || len(x.Shape) < 2 || !labelsFit(x.Shape, t) {
		return nil, nn.ShapeErrorf("want x (N, C, ...) and int32 t (N, ...)")
	}
	return one(), nil
}

func (o Accuracy) Forward(c *nn.Call) error {
	_, classes, inner := split3(c.In[0].Shape(), 1)
	x := c.X(0)
	right, count := 0, 0
	for i, label := range nn.Ints(c.In[1]) {
		if o.HasIgnore && label == o.Ignore {
			continue
		}
		count++
		if largest(x[i/inner*classes*inner+i%inner:], classes, inner) == int(label) {
			right++
		}
	}
	c.Y(0)[0] = float32(right) / float32(max(count, 1))
	return nil
}

// BinaryAccuracy is the share of elements whose score's sign says the label: 1
// where x >= 0. Elements with label -1 don't count. Inputs x, t int32 of one
// shape; output a scalar. It has no gradient.
type BinaryAccuracy struct{}

func (BinaryAccuracy) Name() string { return "BinaryAccuracy" }

func (BinaryAccuracy) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkCount(in, 2, "x", "t"); err != nil {
		return nil, err
	}
	if in[0].Dtype != tensor.Float32 || in[1].Dtype != tensor.Int32 || !slices.Equal(in[0].Shape, in[1].Shape) {
		return nil, nn.ShapeErrorf("want x and int32 t of one shape")
	}
	return one(), nil
}

func (BinaryAccuracy) Forward(c *nn.Call) error {
	right, count := 0, 0
	for i, t := range nn.Ints(c.In[1]) {
		if t < 0 {
			continue
		}
		count++
		if (c.X(0)[i] >= 0) == (t == 1) {
			right++
		}
	}
	c.Y(0)[0] = float32(right) / float32(max(count, 1))
	return nil
}
