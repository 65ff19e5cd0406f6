package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// identity reads Identity.
func identity(_ *importer, in []value) ([]value, error) { return in[:1], nil }

// dropout reads Dropout, which does nothing in inference.
func dropout(im *importer, in []value) ([]value, error) {
	if im.opset < 7 && im.attr("is_test", 0) == 0 {
		return nil, fmt.Errorf("%w: is_test is 0, which trains; export the network for inference", ErrUnsupported)
	}
	if has(in, 2) && !(in[2].isInt() && len(in[2].ints) == 1 && in[2].ints[0] == 0) {
		return nil, fmt.Errorf("%w: input 2, training_mode, must be a constant that is false; export the network for inference", ErrUnsupported)
	}
	if len(im.node.outputs) < 2 || elements(in[0].shape) > maxInts {
		return in[:1], nil
	}
	mask := value{index: -1, shape: in[0].shape, ints: slices.Repeat([]int64{1}, elements(in[0].shape)), dtype: typeBool}
	if im.opset < 10 { // it was of the input's type
		mask.dtype = in[0].dtype
	}
	return []value{in[0], mask}, nil
}

// constant reads Constant.
func constant(im *importer, _ []value) ([]value, error) {
	if n := len(im.node.attrs); n != 1 {
		return nil, fmt.Errorf("%w: it has %d values, want one", ErrFormat, n)
	}
	for name, a := range im.node.attrs {
		switch name {
		case "value":
			return one(im.constant(a.t))
		case "value_float":
			return one(im.floats("", []float32{a.f}, nil))
		case "value_floats":
			if len(a.floats) == 0 {
				return []value{nothing("an empty list of floats")}, nil
			}
			return one(im.floats("", a.floats, []int{len(a.floats)}))
		case "value_int":
			return []value{{index: -1, shape: []int{}, ints: []int64{a.i}, dtype: typeInt64}}, nil
		case "value_ints":
			return []value{{index: -1, shape: []int{len(a.ints)}, ints: a.ints, dtype: typeInt64}}, nil
		}
	}
	return nil, fmt.Errorf("%w: it has no numeric value", ErrUnsupported)
}

// reshape reads Reshape. A shape that was written down for the file's fixed batch
// size is meant for the batch.
func reshape(im *importer, in []value) ([]value, error) {
	target, _, err := im.list(in, 1, "shape")
	if err != nil {
		return nil, err
	}
	x := in[0]
	if len(target) > maxRank {
		return nil, fmt.Errorf("%w: %d dimensions", ErrUnsupported, len(target))
	}
	shape, n := make([]int, len(target)), 1
	for i, d := range target {
		switch {
		case d == 0 && im.attr("allowzero", 0) == 0 && i < len(x.shape):
			shape[i] = x.shape[i]
		case d == -1 || d > 0 && d <= maxReshaped/int64(n):
			shape[i] = int(d)
		default:
			return nil, fmt.Errorf("%w: target shape %v", ErrFormat, target)
		}
		n *= max(1, shape[i])
	}
	if len(target) > 0 && im.forBatch(target[0], x) {
		shape[0] = im.rows
	}
	if x.isInt() {
		return reshapeInts(x, shape)
	}
	return one(im.reshape(x, shape))
}

// maxReshaped bounds the elements of a target shape, so that none overflows.
const maxReshaped = 1 << 31

// forBatch tells whether a first dimension of a target shape stands for the
// file's fixed batch size, in whose place the rows are.
func (im *importer) forBatch(d int64, x value) bool {
	return im.batch > 1 && d == im.batch && !x.isInt() && im.data(x) == nil && len(x.shape) > 0 && x.shape[0] == im.rows
}

func reshapeInts(x value, shape []int) ([]value, error) {
	n := 1
	for i, d := range shape {
		if d == -1 {
			shape[i] = 1
			rest := elements(shape[i+1:])
			if n*rest == 0 || slices.Contains(shape[i+1:], -1) {
				return nil, fmt.Errorf("%w: target shape %v", ErrFormat, shape)
			}
			shape[i] = len(x.ints) / (n * rest)
		}
		n *= shape[i]
	}
	if n != len(x.ints) {
		return nil, fmt.Errorf("%w: %d integers don't fit %v", ErrFormat, len(x.ints), shape)
	}
	return []value{{index: -1, shape: shape, ints: x.ints, dtype: x.dtype}}, nil
}

// flatten reads Flatten.
func flatten(im *importer, in []value) ([]value, error) {
	s := in[0].shape
	a := im.attr("axis", 1)
	if a < 0 {
		a += int64(len(s))
	}
	if a < 0 || a > int64(len(s)) {
		return nil, fmt.Errorf("%w: axis %d of %s", ErrFormat, a, shapeName(s))
	}
	return one(im.reshape(in[0], []int{elements(s[:a]), elements(s[a:])}))
}

// squeeze reads Squeeze and Unsqueeze.
func squeeze(im *importer, in []value) ([]value, error) {
	list, given, err := im.list(in, 1, "axes")
	if err != nil {
		return nil, err
	}
	x := in[0]
	var shape []int
	if im.node.op == "Unsqueeze" {
		if len(list)+len(x.shape) > maxRank {
			return nil, fmt.Errorf("%w: more than %d dimensions", ErrUnsupported, maxRank)
		}
		axes, err := axesOf(list, len(list)+len(x.shape))
		if err != nil {
			return nil, err
		}
		shape = slices.Clone(x.shape)
		for _, a := range axes {
			shape = slices.Insert(shape, a, 1)
		}
	} else {
		if given && len(list) == 0 { // all axes of one element, or none: runtimes differ
			return nil, fmt.Errorf("%w: an empty list of axes", ErrUnsupported)
		}
		axes, err := axesOf(list, len(x.shape))
		if err != nil {
			return nil, err
		}
		shape = []int{}
		for i, d := range x.shape {
			gone := slices.Contains(axes, i) || !given && d == 1
			if gone && d != 1 {
				return nil, fmt.Errorf("%w: axis %d of %s isn't 1", ErrFormat, i, shapeName(x.shape))
			}
			if !gone {
				shape = append(shape, d)
			}
		}
	}
	return one(im.reshape(x, shape))
}

// transpose reads Transpose.
func transpose(im *importer, in []value) ([]value, error) {
	perm, rank := im.attrInts("perm"), len(in[0].shape)
	if im.node.attrs["perm"] != nil && len(perm) != rank {
		return nil, fmt.Errorf("%w: perm %v for %d dimensions", ErrFormat, perm, rank)
	}
	var axes []int
	for _, p := range perm {
		if p < 0 || p >= int64(rank) {
			return nil, fmt.Errorf("%w: perm %v for %d dimensions", ErrFormat, perm, rank)
		}
		axes = append(axes, int(p))
	}
	return one(im.transpose(in[0], axes))
}

// transpose permutes axes, none reverses them. Where only axes of one element
// change places it is a change of shape.
func (im *importer) transpose(x value, axes []int) (value, error) {
	o := op.Transpose{Axes: axes}
	if x.isInt() {
		return im.apply(o, x)
	}
	out, err := o.Outputs([]nn.Spec{im.trace.Values[x.index].Spec})
	if err != nil {
		return value{}, err
	}
	long := slices.DeleteFunc(slices.Clone(axes), func(a int) bool { return x.shape[a] == 1 })
	if len(axes) > 0 && slices.IsSorted(long) {
		return im.reshape(x, out[0].Shape)
	}
	return im.apply(o, x)
}

// concat reads Concat.
func concat(im *importer, in []value) ([]value, error) {
	for _, v := range in {
		if v.dtype != in[0].dtype {
			return nil, fmt.Errorf("%w: arrays of %s and %s", ErrFormat, typeName(in[0].dtype), typeName(v.dtype))
		}
	}
	a, err := axis(im.attr("axis", 0), len(in[0].shape))
	if err != nil {
		return nil, err
	}
	in, empty, err := withElements(in, a)
	if err != nil {
		return nil, err
	}
	if len(in) == 0 {
		return []value{empty}, nil
	}
	return one(im.apply(op.Concat{Axis: a}, in...))
}

// withElements leaves out arrays that hold nothing along an axis, such as the shape
// of a scalar.
func withElements(in []value, axis int) (rest []value, empty value, err error) {
	shape := slices.Clone(in[0].shape)
	for _, v := range in {
		if len(v.shape) != len(shape) {
			return nil, value{}, fmt.Errorf("%w: %s and %s joined", ErrFormat, shapeName(shape), shapeName(v.shape))
		}
		if shape[axis] = v.shape[axis]; elements(v.shape) > 0 {
			rest = append(rest, v)
		} else if empty = v; !slices.Equal(v.shape, shape) || shape[axis] > 0 {
			return nil, value{}, fmt.Errorf("%w: %s and %s joined", ErrUnsupported, shapeName(in[0].shape), shapeName(v.shape))
		}
	}
	return rest, empty, nil
}

// split reads Split.
func split(im *importer, in []value) ([]value, error) {
	a, err := axis(im.attr("axis", 0), len(in[0].shape))
	if err != nil {
		return nil, err
	}
	sizes, err := im.parts(in, in[0].shape[a])
	if err != nil {
		return nil, err
	}
	if len(sizes) != len(im.node.outputs) {
		return nil, fmt.Errorf("%w: %d parts %v for %d outputs", ErrFormat, len(sizes), sizes, len(im.node.outputs))
	}
	some := slices.DeleteFunc(slices.Clone(sizes), func(n int) bool { return n == 0 })
	parts, err := im.applyAll(op.Split{Axis: a, Sizes: some}, in[0])
	if err != nil {
		return nil, err
	}
	for i, n := range sizes {
		if n == 0 {
			shape := slices.Clone(in[0].shape)
			shape[a] = 0
			parts = slices.Insert(parts, i, emptyLike(in[0], shape))
		}
	}
	return parts, nil
}

// parts returns the sizes of Split's results, which are equal unless they are
// given; since opset 18 the last may be smaller.
func (im *importer) parts(in []value, n int) ([]int, error) {
	list, given, err := im.list(in, 1, "split")
	if err != nil {
		return nil, err
	}
	count := len(im.node.outputs)
	if want := im.node.attrs["num_outputs"]; want != nil && (given || want.i != int64(count)) {
		return nil, fmt.Errorf("%w: num_outputs is %d, with %d outputs, given sizes: %t", ErrFormat, want.i, count, given)
	}
	var sizes []int
	if !given {
		if im.opset < 18 && n%count != 0 {
			return nil, fmt.Errorf("%w: an axis of %d in %d equal parts", ErrFormat, n, count)
		}
		chunk := (n + count - 1) / count
		for ; n > 0; n -= chunk {
			sizes = append(sizes, min(chunk, n))
		}
		return sizes, nil
	}
	for _, d := range list {
		if d < 0 || d > int64(n) {
			return nil, fmt.Errorf("%w: parts %v of %d elements", ErrUnsupported, list, n)
		}
		sizes = append(sizes, int(d))
	}
	return sizes, nil
}

// expand reads Expand.
func expand(im *importer, in []value) ([]value, error) {
	list, _, err := im.list(in, 1, "")
	if err != nil {
		return nil, err
	}
	x := in[0]
	rank := max(len(list), len(x.shape))
	if rank > maxRank {
		return nil, fmt.Errorf("%w: %d dimensions", ErrUnsupported, rank)
	}
	shape := make([]int, rank)
	for i := range shape {
		d := int64(1)
		if k := i - (rank - len(list)); k >= 0 {
			if d = list[k]; i == 0 && im.forBatch(d, x) {
				d = int64(im.rows)
			}
		}
		if k := i - (rank - len(x.shape)); k >= 0 && d == 1 {
			d = int64(x.shape[k])
		}
		if d > math.MaxInt32 {
			return nil, fmt.Errorf("%w: target shape %v, the most for an axis is %d", ErrTooLarge, list, math.MaxInt32)
		}
		if d < 1 {
			return nil, fmt.Errorf("%w: target shape %v", ErrFormat, list)
		}
		shape[i] = int(d)
	}
	return one(im.apply(op.BroadcastTo{Shape: shape}, x))
}
