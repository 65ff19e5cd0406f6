package op

import (
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/nn"
)

// Concat joins arrays along Axis. Inputs of any one type and equal shapes but
// for that axis.
type Concat struct{ Axis int }

func (Concat) Name() string { return "Concat" }

func (o Concat) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if len(in) == 0 {
		return nil, nn.ShapeErrorf("nothing to concatenate")
	}
	shape := slices.Clone(in[0].Shape)
	axis, err := axisOf(o.Axis, len(shape))
	if err != nil {
		return nil, err
	}
	for _, s := range in[1:] {
		if s.Dtype != in[0].Dtype || len(s.Shape) != len(shape) {
			return nil, nn.ShapeErrorf("arrays need one type and number of dimensions")
		}
		for i, d := range s.Shape {
			if i != axis && d != shape[i] {
				return nil, nn.ShapeErrorf("arrays differ in axis %d, want %d only", i, axis)
			}
		}
		shape[axis] += s.Shape[axis]
	}
	return []nn.Spec{{Shape: shape, Dtype: in[0].Dtype}}, nil
}

// parts calls f for each input with its place in the output.
func (o Concat) parts(c *nn.Call, f func(i int, shape []int, place layout)) {
	axis := mustAxis(o.Axis, len(c.Out[0].Shape()))
	place := rowMajor(c.Out[0].Shape())
	for i, x := range c.In {
		f(i, x.Shape(), place)
		place.offset += x.Shape()[axis] * place.stride[axis]
	}
}

func (o Concat) Forward(c *nn.Call) error {
	o.parts(c, func(i int, shape []int, place layout) {
		moveArray(c.Out[0], place, c.In[i], rowMajor(shape), shape)
	})
	return nil
}

func (o Concat) Backward(c *nn.Call) error {
	o.parts(c, func(i int, shape []int, place layout) {
		if gx := c.GX(i); gx != nil {
			move(gx, rowMajor(shape), c.GY(0), place, shape)
		}
	})
	return nil
}

// Split cuts x along Axis into parts of the given Sizes. Input x of any type;
// one output for each size.
type Split struct {
	Axis  int
	Sizes []int
}

func (Split) Name() string { return "SplitAxis" }

func (o Split) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkCount(in, 1, "x"); err != nil {
		return nil, err
	}
	axis, err := axisOf(o.Axis, len(in[0].Shape))
	if err != nil {
		return nil, err
	}
	outs := make([]nn.Spec, len(o.Sizes))
	total := 0
	for i, n := range o.Sizes {
		if n < 1 {
			return nil, nn.ShapeErrorf("part %d would be empty", i)
		}
		shape := slices.Clone(in[0].Shape)
		shape[axis] = n
		total += n
		outs[i] = nn.Spec{Shape: shape, Dtype: in[0].Dtype}
	}
	if total != in[0].Shape[axis] {
		return nil, nn.ShapeErrorf("parts %v do not add up to axis %d of %d", o.Sizes, axis, in[0].Shape[axis])
	}
	return outs, nil
}

func (o Split) parts(c *nn.Call, f func(i int, shape []int, place layout)) {
	axis := mustAxis(o.Axis, len(c.In[0].Shape()))
	place := rowMajor(c.In[0].Shape())
	for i, y := range c.Out {
		f(i, y.Shape(), place)
		place.offset += y.Shape()[axis] * place.stride[axis]
	}
}

func (o Split) Forward(c *nn.Call) error {
	o.parts(c, func(i int, shape []int, place layout) {
		moveArray(c.Out[i], rowMajor(shape), c.In[0], place, shape)
	})
	return nil
}

func (o Split) Backward(c *nn.Call) error {
	clear(c.GX(0)) // parts that nobody used have no gradient
	o.parts(c, func(i int, shape []int, place layout) {
		if gy := c.GY(i); gy != nil {
			move(c.GX(0), place, gy, rowMajor(shape), shape)
		}
	})
	return nil
}

// Where is a where the condition holds, else b. Inputs condition (bool), a, b,
// all of one shape.
type Where struct{}

func (Where) Name() string { return "Where" }

func (Where) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkCount(in, 3, "condition", "a", "b"); err != nil {
		return nil, err
	}
	if in[0].Dtype != tensor.Bool || in[1].Dtype != tensor.Float32 || !in[1].Equal(in[2]) ||
		!slices.Equal(in[0].Shape, in[1].Shape) {
		return nil, nn.ShapeErrorf("want bool, float32 and float32 of one shape")
	}
	return one(in[1].Shape...), nil
}

func (Where) Forward(c *nn.Call) error {
	a, b, y := c.X(1), c.X(2), c.Y(0)
	for i, yes := range nn.Bools(c.In[0]) {
		if y[i] = b[i]; yes {
			y[i] = a[i]
		}
	}
	return nil
}

func (Where) Backward(c *nn.Call) error {
	ga, gb, gy := c.GX(1), c.GX(2), c.GY(0)
	for i, yes := range nn.Bools(c.In[0]) {
		if ga != nil {
			ga[i] = chosen(yes, gy[i])
		}
		if gb != nil {
			gb[i] = chosen(!yes, gy[i])
		}
	}
	return nil
}

// SelectItem is x[i, t[i]] for each row i. Inputs x (N, C), t int32 (N); output
// (N).
type SelectItem struct{}

func (SelectItem) Name() string { return "SelectItem" }

func (SelectItem) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkCount(in, 2, "x", "t"); err != nil {
		return nil, err
	}
	x, t := in[0], in[1]
	if x.Dtype != tensor.Float32 || t.Dtype != tensor.Int32 || len(x.Shape) != 2 || len(t.Shape) != 1 || t.Shape[0] != x.Shape[0] {
		return nil, nn.ShapeErrorf("want x (N, C) and int32 t (N)")
	}
	return one(t.Shape[0]), nil
}

func (SelectItem) Forward(c *nn.Call) error {
	x, y, classes := c.X(0), c.Y(0), c.In[0].Shape()[1]
	for i, t := range nn.Ints(c.In[1]) {
		if t < 0 || int(t) >= classes {
			return nn.ValueErrorf("t[%d] is %d, want 0..%d", i, t, classes-1)
		}
		y[i] = x[i*classes+int(t)]
	}
	return nil
}

func (SelectItem) Backward(c *nn.Call) error {
	gx, gy, classes := c.GX(0), c.GY(0), c.In[0].Shape()[1]
	clear(gx)
	for i, t := range nn.Ints(c.In[1]) {
		gx[i*classes+int(t)] = gy[i]
	}
	return nil
}
