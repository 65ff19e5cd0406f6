package onnx

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/op"
)

// slice reads Slice.
func slice(im *importer, in []value) ([]value, error) {
	if err := need(in, 3); err != nil {
		return nil, err
	}
	var lists [4][]int64 // starts, ends, axes, steps
	for i := range lists {
		v, given, err := im.list(in, i+1, "")
		if err != nil {
			return nil, err
		}
		if lists[i] = v; given && len(v) != len(lists[0]) {
			return nil, fmt.Errorf("%w: starts, ends, axes and steps differ in length", ErrFormat)
		}
	}
	x := in[0]
	ranges := make([]op.Range, len(x.shape))
	for i, d := range x.shape {
		ranges[i] = op.Range{Count: d, Step: 1}
	}
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
		if ranges[k], err = cut(x.shape[k], lists[0][i], lists[1][i], step); err != nil {
			return nil, err
		}
	}
	if x.isInt() {
		if len(ranges) != 1 {
			return nil, fmt.Errorf("%w: integers of shape %s", ErrUnsupported, shapeName(x.shape))
		}
		r := ranges[0]
		var out []int64
		for i := range r.Count {
			out = append(out, x.ints[r.From+i*r.Step])
		}
		return ints(out)
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
	if count < 1 {
		return op.Range{}, fmt.Errorf("%w: nothing is left of an axis of %d", ErrUnsupported, n)
	}
	return op.Range{From: int(start), Count: int(count), Step: int(step)}, nil
}

// maxGathered bounds the indices of Gather, each of which becomes a step.
const maxGathered = 1024

// gather reads Gather with known indices, or with indices that depend on the row
// along the first axis, as in an embedding.
func gather(im *importer, in []value) ([]value, error) {
	if err := need(in, 2); err != nil {
		return nil, err
	}
	x, index := in[0], in[1]
	a, err := axis(im.attr("axis", 0), len(x.shape))
	if err != nil {
		return nil, err
	}
	if index.whole && a == 0 {
		return one(im.apply(op.Lookup{}, index, x))
	}
	if !index.isInt() || len(index.shape) > 1 {
		return nil, fmt.Errorf("%w: indices must be known when the file is read, one or a list, or be integers of the row along axis 0", ErrUnsupported)
	}
	if len(index.ints) > maxGathered {
		return nil, fmt.Errorf("%w: %d indices, the most is %d", ErrUnsupported, len(index.ints), maxGathered)
	}
	drop := len(index.shape) == 0
	parts := make([]value, 0, len(index.ints))
	var out []int64
	for _, i := range index.ints {
		k, err := axis(i, x.shape[a])
		if err != nil {
			return nil, fmt.Errorf("%w: index %d of %d", ErrFormat, i, x.shape[a])
		}
		if x.isInt() {
			if len(x.shape) != 1 {
				return nil, fmt.Errorf("%w: integers of shape %s", ErrUnsupported, shapeName(x.shape))
			}
			out = append(out, x.ints[k])
			continue
		}
		ranges := make([]op.Range, a+1)
		for j := range ranges {
			ranges[j] = op.Range{Count: x.shape[j], Step: 1}
		}
		ranges[a] = op.Range{From: k, Count: 1, Step: 1, Drop: drop}
		p, err := im.apply(op.Slice{Ranges: ranges}, x)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	switch {
	case x.isInt() && drop && len(out) == 1:
		return []value{{index: -1, shape: []int{}, ints: out}}, nil
	case x.isInt():
		return ints(out)
	case len(parts) == 0:
		return nil, fmt.Errorf("%w: no index", ErrUnsupported)
	case len(parts) == 1:
		return parts, nil
	}
	return one(im.apply(op.Concat{Axis: a}, parts...))
}
