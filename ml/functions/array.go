package functions

import (
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// Reshape gives the same elements another shape; one dimension may be -1 and
// takes what is left. Nothing is copied.
func Reshape(x *nn.Variable, shape ...int) *nn.Variable {
	return nn.Apply1(op.Reshape{Shape: shape}, x)
}

// Flatten makes x one-dimensional.
func Flatten(x *nn.Variable) *nn.Variable { return Reshape(x, -1) }

// Transpose permutes axes: axis i of the result is axis axes[i] of x. Without
// axes it reverses them.
func Transpose(x *nn.Variable, axes ...int) *nn.Variable {
	return nn.Apply1(op.Transpose{Axes: axes}, x)
}

// SwapAxes exchanges two axes.
func SwapAxes(x *nn.Variable, a, b int) *nn.Variable {
	dims := len(x.Shape())
	i, okI := axisOf(a, dims)
	j, okJ := axisOf(b, dims)
	if !okI || !okJ {
		return invalid("SwapAxes", nn.ShapeErrorf("x has no axes %d and %d", a, b), x)
	}
	axes := make([]int, dims)
	for k := range axes {
		axes[k] = k
	}
	axes[i], axes[j] = j, i
	return Transpose(x, axes...)
}

// ExpandDims inserts a dimension of size 1 at axis.
func ExpandDims(x *nn.Variable, axis int) *nn.Variable {
	s := x.Shape()
	a, ok := axisOf(axis, len(s)+1)
	if x.Shape() == nil || !ok {
		return invalid("ExpandDims", nn.ShapeErrorf("no place for axis %d", axis), x)
	}
	return Reshape(x, insert(s, a, 1)...)
}

// Squeeze removes the given dimensions, which must have size 1, or all of size
// 1 if none is given.
func Squeeze(x *nn.Variable, axes ...int) *nn.Variable {
	s := x.Shape()
	gone := make([]bool, len(s))
	for _, axis := range axes {
		a, ok := axisOf(axis, len(s))
		if !ok || s[a] != 1 {
			return invalid("Squeeze", nn.ShapeErrorf("axis %d does not have size 1", axis), x)
		}
		gone[a] = true
	}
	shape := []int{}
	for i, d := range s {
		if !gone[i] && (len(axes) > 0 || d != 1) {
			shape = append(shape, d)
		}
	}
	return Reshape(x, shape...)
}

// BroadcastTo repeats x along missing and size 1 dimensions up to shape.
func BroadcastTo(x *nn.Variable, shape ...int) *nn.Variable {
	return nn.Apply1(op.BroadcastTo{Shape: shape}, x)
}

// Pad puts widths[i][0] elements of value before and widths[i][1] after axis i.
func Pad(x *nn.Variable, widths [][2]int, value float32) *nn.Variable {
	return nn.Apply1(op.Pad{Width: widths, Value: value}, x)
}

// Tile repeats x reps[i] times along axis i; where reps is longer, axes are put
// in front of x.
func Tile(x *nn.Variable, reps ...int) *nn.Variable { return nn.Apply1(op.Tile{Reps: reps}, x) }

// Flip reverses an axis.
func Flip(x *nn.Variable, axis int) *nn.Variable {
	s := x.Shape()
	a, ok := axisOf(axis, len(s))
	if !ok {
		return invalid("Flip", nn.ShapeErrorf("x has no axis %d", axis), x)
	}
	ranges := make([]op.Range, a+1)
	for i := range ranges {
		ranges[i] = op.Range{Count: s[i], Step: 1}
	}
	ranges[a] = op.Range{From: s[a] - 1, Count: s[a], Step: -1}
	return nn.Apply1(op.Slice{Ranges: ranges}, x)
}

// Copy returns x's values in memory of their own.
func Copy(x *nn.Variable) *nn.Variable { return nn.Apply1(op.Slice{}, x) }

// Concat joins arrays along an axis.
func Concat(xs []*nn.Variable, axis int) *nn.Variable {
	return nn.Apply1(op.Concat{Axis: axis}, xs...)
}

// Stack joins arrays of one shape along a new axis.
func Stack(xs []*nn.Variable, axis int) *nn.Variable {
	expanded := make([]*nn.Variable, len(xs))
	for i, x := range xs {
		expanded[i] = ExpandDims(x, axis)
	}
	return Concat(expanded, axis)
}

// SplitAxis cuts x into equal parts along an axis.
func SplitAxis(x *nn.Variable, parts, axis int) []*nn.Variable {
	s := x.Shape()
	a, ok := axisOf(axis, len(s))
	if !ok || parts < 1 || s[a]%parts != 0 {
		f := invalid("SplitAxis", nn.ShapeErrorf("cannot cut axis %d into %d equal parts", axis, parts), x)
		return slices.Repeat([]*nn.Variable{f}, max(parts, 1))
	}
	return split(x, a, slices.Repeat([]int{s[a] / parts}, parts))
}

// SplitAt cuts x along an axis at the given indices, which ascend: n indices
// make n+1 parts.
func SplitAt(x *nn.Variable, indices []int, axis int) []*nn.Variable {
	s := x.Shape()
	a, ok := axisOf(axis, len(s))
	if !ok {
		f := invalid("SplitAxis", nn.ShapeErrorf("x has no axis %d", axis), x)
		return slices.Repeat([]*nn.Variable{f}, len(indices)+1)
	}
	sizes := make([]int, len(indices)+1)
	from := 0
	for i, until := range indices {
		sizes[i], from = until-from, until
	}
	sizes[len(indices)] = s[a] - from
	return split(x, a, sizes)
}

func split(x *nn.Variable, axis int, sizes []int) []*nn.Variable {
	return nn.Apply(op.Split{Axis: axis, Sizes: sizes}, len(sizes), x)
}

// manyFailed is how many failed variables stand for the unknown number of parts
// of one that failed, so that a program that counts on its parts finds the
// failure and not an index out of range.
const manyFailed = 4096

// Separate cuts x along an axis into its single elements, each without that
// axis. If x failed, all elements are that failure, and there are many.
func Separate(x *nn.Variable, axis int) []*nn.Variable {
	s := x.Shape()
	a, ok := axisOf(axis, len(s))
	if !ok {
		return slices.Repeat([]*nn.Variable{invalid("Separate", nn.ShapeErrorf("x has no axis %d", axis), x)}, manyFailed)
	}
	parts := split(x, a, slices.Repeat([]int{1}, s[a]))
	for i, p := range parts {
		parts[i] = Squeeze(p, a)
	}
	return parts
}

// TransposeSequence turns sequences, the longest first, into time steps: result
// t holds step t of every sequence that is longer than t. Failures are as
// Separate's.
func TransposeSequence(xs []*nn.Variable) []*nn.Variable {
	if len(xs) == 0 {
		return nil
	}
	steps := make([][]*nn.Variable, xs[0].Dim(0))
	for i, x := range xs {
		if x.Shape() == nil || x.Dim(0) == 0 || x.Dim(0) > xs[max(i-1, 0)].Dim(0) {
			return slices.Repeat([]*nn.Variable{invalid("TransposeSequence", nn.ShapeErrorf("sequences are not sorted by length"), xs...)}, manyFailed)
		}
		for t, step := range Separate(x, 0) {
			steps[t] = append(steps[t], step)
		}
	}
	out := make([]*nn.Variable, len(steps))
	for t, s := range steps {
		out[t] = Stack(s, 0)
	}
	return out
}

// Where is a where the bool array condition holds, else b.
func Where(condition, a, b *nn.Variable) *nn.Variable {
	return nn.Apply1(op.Where{}, condition, a, b)
}

// SelectItem is x[i, t[i]] for each row i of x (N, C) and int32 t (N).
func SelectItem(x, t *nn.Variable) *nn.Variable { return nn.Apply1(op.SelectItem{}, x, t) }

// ResizeImages scales x (N, C, h, w) bilinearly to height and width; corners
// fall on corners.
func ResizeImages(x *nn.Variable, height, width int) *nn.Variable {
	return nn.Apply1(op.Resize{H: height, W: width}, x)
}
