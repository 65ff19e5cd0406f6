package functions

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
)

// invalid makes the failed variable of a function that found its arguments
// wrong: an earlier failure among the inputs, or err with the inputs' shapes.
func invalid(function string, err error, in ...*nn.Variable) *nn.Variable {
	given := ""
	for i, x := range in {
		if x.Err() != nil {
			return nn.Failed(x.Tape(), function, x.Err())
		}
		if i > 0 {
			given += ", "
		}
		given += nn.FormatShape(x.Shape())
	}
	return nn.Failed(in[0].Tape(), function, fmt.Errorf("%w; given %s", err, given))
}

// insert returns shape with d inserted at i.
func insert(shape []int, i, d int) []int { return slices.Insert(slices.Clone(shape), i, d) }

// axisOf counts a negative axis from the last; ok tells whether it exists.
func axisOf(axis, dims int) (a int, ok bool) {
	if axis < 0 {
		axis += dims
	}
	return axis, axis >= 0 && axis < dims
}
