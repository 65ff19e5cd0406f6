package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// identity reads Identity and Dropout, which do nothing in inference.
func identity(im *importer, in []value) ([]value, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	return in[:1], nil
}

// constant reads Constant.
func constant(im *importer, _ []value) ([]value, error) {
	for name, a := range im.node.attrs {
		switch name {
		case "value":
			if a.t == nil {
				return nil, fmt.Errorf("%w: attribute value is no array", ErrFormat)
			}
			return one(im.constant(a.t))
		case "value_float":
			return one(im.floats("", []float32{a.f}, nil))
		case "value_floats":
			return one(im.floats("", a.floats, []int{len(a.floats)}))
		case "value_int":
			return []value{{index: -1, shape: []int{}, ints: []int64{a.i}}}, nil
		case "value_ints":
			return []value{{index: -1, shape: []int{len(a.ints)}, ints: a.ints}}, nil
		}
	}
	return nil, fmt.Errorf("%w: it has no numeric value", ErrUnsupported)
}

// cast reads Cast: floats stay float32, integers stay integers or become floats.
// Those that depend on the row are floats already.
func cast(im *importer, in []value) ([]value, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	to := im.attr("to", 0)
	floats := to == typeFloat || to == typeDouble || to == typeFloat16
	x := in[0]
	switch {
	case x.isInt() && floats && len(x.ints) > 0:
		v := make([]float32, len(x.ints))
		for i, n := range x.ints {
			v[i] = float32(n)
		}
		return one(im.floats("", v, x.shape))
	case x.isInt() && integers(to), !x.isInt() && floats, x.whole && integers(to):
		x.whole = !floats && x.whole
		return []value{x}, nil
	}
	return nil, fmt.Errorf("%w: a conversion to %s", ErrUnsupported, typeName(to))
}

// reshape reads Reshape. A shape that was written down for the file's fixed batch
// size is meant for the batch.
func reshape(im *importer, in []value) ([]value, error) {
	if err := need(in, 2); err != nil {
		return nil, err
	}
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
	return []value{{index: -1, shape: shape, ints: x.ints}}, nil
}

// flatten reads Flatten.
func flatten(im *importer, in []value) ([]value, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
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
	if err := need(in, 1); err != nil {
		return nil, err
	}
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
	if x.isInt() {
		return []value{{index: -1, shape: shape, ints: x.ints}}, nil
	}
	return one(im.reshape(x, shape))
}

// transpose reads Transpose.
func transpose(im *importer, in []value) ([]value, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	var axes []int
	for _, p := range im.attrInts("perm") {
		a, err := axis(p, len(in[0].shape))
		if err != nil {
			return nil, err
		}
		axes = append(axes, a)
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
	if err := need(in, max(1, len(in))); err != nil {
		return nil, err
	}
	if slices.IndexFunc(in, func(v value) bool { return !v.isInt() }) < 0 {
		var all []int64
		for _, v := range in {
			if len(v.shape) != 1 {
				return nil, fmt.Errorf("%w: integers of shape %s", ErrUnsupported, shapeName(v.shape))
			}
			all = append(all, v.ints...)
		}
		return ints(all)
	}
	a, err := axis(im.attr("axis", 0), len(in[0].shape))
	if err != nil {
		return nil, err
	}
	return one(im.apply(op.Concat{Axis: a}, in...))
}

// split reads Split.
func split(im *importer, in []value) ([]value, error) {
	if err := need(in, 1); err != nil {
		return nil, err
	}
	a, err := axis(im.attr("axis", 0), len(in[0].shape))
	if err != nil {
		return nil, err
	}
	list, given, err := im.list(in, 1, "split")
	if err != nil {
		return nil, err
	}
	var sizes []int
	if n, parts := in[0].shape[a], len(im.node.outputs); !given {
		chunk := (n + parts - 1) / parts
		for ; n > 0; n -= chunk {
			sizes = append(sizes, min(chunk, n))
		}
	}
	for _, n := range list {
		if n < 1 || n > int64(in[0].shape[a]) {
			return nil, fmt.Errorf("%w: parts %v of %d elements", ErrUnsupported, list, in[0].shape[a])
		}
		sizes = append(sizes, int(n))
	}
	return im.applyAll(op.Split{Axis: a, Sizes: sizes}, in[0])
}

// pad reads Pad with a constant.
func pad(im *importer, in []value) ([]value, error) {
	if err := need(in, 2); err != nil {
		return nil, err
	}
	if mode := im.attrString("mode", "constant"); mode != "constant" {
		return nil, fmt.Errorf("%w: mode %q", ErrUnsupported, mode)
	}
	list, _, err := im.list(in, 1, "pads")
	if err != nil {
		return nil, err
	}
	v, err := im.scalar(in, 2, "value", 0)
	if err != nil {
		return nil, err
	}
	rank := len(in[0].shape)
	if len(list) != 2*rank || has(in, 3) {
		return nil, fmt.Errorf("%w: pads %v for %s", ErrUnsupported, list, shapeName(in[0].shape))
	}
	widths := make([][2]int, rank)
	for i := range widths {
		before, after := list[i], list[i+rank]
		if before < 0 || after < 0 || before > maxSide || after > maxSide {
			return nil, fmt.Errorf("%w: pads %v", ErrUnsupported, list)
		}
		widths[i] = [2]int{int(before), int(after)}
	}
	return one(im.apply(op.Pad{Width: widths, Value: v}, in[0]))
}

// expand reads Expand.
func expand(im *importer, in []value) ([]value, error) {
	if err := need(in, 2); err != nil {
		return nil, err
	}
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
		if d < 1 || d > 1<<31-1 {
			return nil, fmt.Errorf("%w: target shape %v", ErrFormat, list)
		}
		shape[i] = int(d)
	}
	return one(im.apply(op.BroadcastTo{Shape: shape}, x))
}
