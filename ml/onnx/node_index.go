package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/op"
)

// slice reads Slice.
func slice(im *importer, in []value) ([]value, error) {
	var lists [4][]int64                                               // starts, ends, axes, steps
	for i, name := range []string{"starts", "ends", "axes", "steps"} { // attributes before opset 10
		v, given, err := im.list(in, i+1, name)
		if err != nil {
			return nil, err
		}
		if lists[i] = v; given && len(v) != len(lists[0]) {
			return nil, fmt.Errorf("%w: starts, ends, axes and steps differ in length", ErrFormat)
		}
	}
	if lists[0] == nil || lists[1] == nil {
		return nil, fmt.Errorf("%w: starts or ends are missing", ErrFormat)
	}
	x := in[0]
	ranges := make([]op.Range, len(x.shape))
	for i, d := range x.shape {
		ranges[i] = op.Range{Count: d, Step: 1}
	}
	seen, nothingLeft := make([]bool, len(x.shape)), false
	for i := range lists[0] {
		a, step := int64(i), int64(1)
		if lists[2] != nil {
			a = lists[2][i]
		}
		if lists[3] != nil {
			step = lists[3][i]
		}
		k, err := axis(a, len(x.shape))
		if err != nil {
			return nil, err
		}
		if seen[k] {
			return nil, fmt.Errorf("%w: axis %d twice", ErrFormat, k)
		}
		seen[k] = true
		if ranges[k], err = cut(x.shape[k], lists[0][i], lists[1][i], step); err != nil {
			return nil, err
		}
		if ranges[k].Count == 0 {
			nothingLeft = true
		}
	}
	if nothingLeft {
		shape := make([]int, len(ranges))
		for i, r := range ranges {
			shape[i] = r.Count
		}
		return []value{emptyLike(x, shape)}, nil
	}
	return one(im.apply(op.Slice{Ranges: ranges}, x))
}

// cut resolves one range of an axis of n elements by ONNX's rules: indices below
// zero count from the last element, all are clamped.
func cut(n int, start, end, step int64) (op.Range, error) {
	if step == 0 || step > int64(n) || step < -int64(n) {
		if step == 0 {
			return op.Range{}, fmt.Errorf("%w: a step of 0", ErrFormat)
		}
		step = max(-int64(n), min(step, int64(n)))
	}
	size := int64(n)
	clamp := func(v, low, high int64) int64 {
		if v < 0 {
			v += size
		}
		return max(low, min(v, high))
	}
	count := int64(0)
	if step > 0 {
		start, end = clamp(start, 0, size), clamp(end, 0, size)
		count = (end - start + step - 1) / step
	} else {
		start = clamp(start, 0, size-1)
		if end < -size { // before the first element
			end = -1
		} else {
			end = clamp(end, -1, size-1)
		}
		count = (start - end - step - 1) / -step
	}
	return op.Range{From: int(start), Count: int(max(0, count)), Step: int(step)}, nil
}

// gather reads Gather with known indices, or with indices that depend on the row
// along the first axis, as in an embedding.
func gather(im *importer, in []value) ([]value, error) {
	a, err := axis(im.attr("axis", 0), len(in[0].shape))
	if err != nil {
		return nil, err
	}
	return one(im.gather(in[0], in[1], a))
}

// gather takes elements of an axis.
func (im *importer) gather(x, index value, a int) (value, error) {
	if index.whole() && a == 0 {
		return im.apply(op.Lookup{}, index, x)
	}
	if !index.isInt() {
		return value{}, fmt.Errorf("%w: indices must be known when the file is read, or be integers of the row along axis 0", ErrUnsupported)
	}
	if len(index.ints) == 0 {
		return value{}, fmt.Errorf("%w: no index", ErrUnsupported)
	}
	at := make([]int32, len(index.ints))
	for i, n := range index.ints {
		k, err := axis(n, x.shape[a])
		if err != nil {
			return value{}, fmt.Errorf("%w: index %d of %d", ErrFormat, n, x.shape[a])
		}
		at[i] = int32(k)
	}
	if r, ok := regular(at); ok && len(index.shape) < 2 {
		r.Drop = len(index.shape) == 0
		ranges := make([]op.Range, a+1)
		for i := range a {
			ranges[i] = op.Range{Count: x.shape[i], Step: 1}
		}
		ranges[a] = r
		return im.apply(op.Slice{Ranges: ranges}, x)
	}
	y, err := im.apply(op.Take{Axis: a, Index: at}, x)
	if err != nil || len(index.shape) == 1 {
		return y, err
	}
	return im.reshape(y, slices.Concat(x.shape[:a], index.shape, x.shape[a+1:]))
}

// regular tells whether indices are equally far apart, as in a range.
func regular(at []int32) (r op.Range, ok bool) {
	r = op.Range{From: int(at[0]), Count: len(at), Step: 1}
	if len(at) > 1 {
		r.Step = int(at[1] - at[0])
	}
	for i, k := range at {
		if int(k) != r.From+i*r.Step {
			return r, false
		}
	}
	return r, r.Step != 0
}
