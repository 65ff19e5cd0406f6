package op

import (
	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/nn"
)

// one is the spec of a single float32 output.
func one(shape ...int) []nn.Spec { return []nn.Spec{nn.FloatSpec(shape...)} }

// checkFloats says whether there are between low and len(names) inputs, all of
// them float32.
func checkFloats(in []nn.Spec, low int, names ...string) error {
	if err := checkCount(in, low, names...); err != nil {
		return err
	}
	for i, s := range in {
		if s.Dtype != tensor.Float32 {
			return nn.ShapeErrorf("%s holds float32", names[i])
		}
	}
	return nil
}

func checkCount(in []nn.Spec, low int, names ...string) error {
	if len(in) < low || len(in) > len(names) {
		return nn.ShapeErrorf("%d inputs, want %v", len(in), names)
	}
	return nil
}

// sameShape is the Outputs of operations that keep their one input's shape.
func sameShape(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 1, "x"); err != nil {
		return nil, err
	}
	return one(in[0].Shape...), nil
}

// axisOf counts a negative axis from the last and checks its range.
func axisOf(axis, dims int) (int, error) {
	a := axis
	if a < 0 {
		a += dims
	}
	if a < 0 || a >= dims {
		return 0, nn.ShapeErrorf("x has no axis %d", axis)
	}
	return a, nil
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// split3 views a shape around an axis as outer x axis x inner.
func split3(shape []int, axis int) (outer, n, inner int) {
	return size(shape[:axis]), shape[axis], size(shape[axis+1:])
}

// mustAxis is axisOf for axes that Outputs has checked.
func mustAxis(axis, dims int) int {
	if axis < 0 {
		return axis + dims
	}
	return axis
}
