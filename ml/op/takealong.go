package op

import (
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
)

// TakeAlong picks elements along Axis by numbers that are kept as float32, each from what
// lies at its own place along the other axes, as numpy.take_along_axis does; a number below
// zero counts from behind the last element. It has no gradient. Inputs x and the numbers, of
// the same shape but for the axis; output the numbers' shape.
type TakeAlong struct{ Axis int }

func (TakeAlong) Name() string { return "TakeAlong" }

func (o TakeAlong) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 2, "x", "numbers"); err != nil {
		return nil, err
	}
	x, numbers := in[0].Shape, in[1].Shape
	axis, err := axisOf(o.Axis, len(x))
	if err != nil {
		return nil, err
	}
	if len(numbers) != len(x) || !slices.Equal(numbers[:axis], x[:axis]) || !slices.Equal(numbers[axis+1:], x[axis+1:]) {
		return nil, nn.ShapeErrorf("want numbers of x's shape but for axis %d", axis)
	}
	return one(numbers...), nil
}

func (o TakeAlong) Forward(c *nn.Call) error {
	shape := c.In[0].Shape()
	axis := mustAxis(o.Axis, len(shape))
	_, n, inner := split3(shape, axis)
	of := inner * c.In[1].Shape()[axis]
	x, y := c.X(0), c.Y(0)
	for i, v := range c.X(1) {
		k := int(v)
		whole := float32(k) == v // as a NaN never is
		if k < 0 {
			k += n
		}
		if !whole || k < 0 || k >= n {
			return nn.ValueErrorf("number %v at element %d, for an axis of %d", c.X(1)[i], i, n)
		}
		y[i] = x[(i/of*n+k)*inner+i%inner]
	}
	return nil
}
