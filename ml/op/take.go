package op

import (
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
)

// Take picks the elements at Index, any number of times and in any order, from an
// axis; a [Slice] picks a regular range. It has no gradient. Input x; output of x's
// shape with as many elements of the axis as there are indices.
type Take struct {
	Axis  int
	Index []int32
}

func (Take) Name() string { return "Take" }

func (o Take) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 1, "x"); err != nil {
		return nil, err
	}
	axis, err := axisOf(o.Axis, len(in[0].Shape))
	if err != nil {
		return nil, err
	}
	shape := slices.Clone([]int(in[0].Shape))
	for _, i := range o.Index {
		if i < 0 || int(i) >= shape[axis] {
			return nil, nn.ShapeErrorf("index %d outside axis %d of %d", i, axis, shape[axis])
		}
	}
	if shape[axis] = len(o.Index); len(o.Index) == 0 {
		return nil, nn.ShapeErrorf("no index")
	}
	return one(shape...), nil
}

func (o Take) Forward(c *nn.Call) error {
	shape := c.In[0].Shape()
	outer, n, inner := split3(shape, mustAxis(o.Axis, len(shape)))
	Pick(c.Y(0), c.X(0), outer, n, inner, o.Index)
	return nil
}

// Pick is what Take does to arrays of outer x n x inner elements.
func Pick(y, x []float32, outer, n, inner int, index []int32) {
	for i := range outer {
		from := x[i*n*inner : (i+1)*n*inner]
		for _, k := range index {
			copy(y[:inner], from[int(k)*inner:])
			y = y[inner:]
		}
	}
}
