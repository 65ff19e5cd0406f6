package onnx

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hibana-engine/hibana/ml/op"
)

// The operators of this file have results whose shape or bits depend on their
// inputs' elements. They are read where those are known when the file is.

// knownElements are the elements of an array that is known when the file is read:
// floats or integers.
func (im *importer) knownElements(v value) (f []float32, ints []int64, err error) {
	if d := im.data(v); d != nil {
		return d.Float32s(), nil, nil
	}
	if v.isInt() {
		return nil, v.ints, nil
	}
	var names []string
	for _, name := range im.node.inputs {
		v, ok := im.values[name]
		if quoted := strconv.Quote(name); ok && !v.isInt() && im.data(v) == nil && !slices.Contains(names, quoted) {
			names = append(names, quoted)
		}
	}
	rest := "do it in the program"
	if im.node.op == "NonMaxSuppression" {
		rest = "leave it to the head vision.Boxes"
	}
	return nil, nil, fmt.Errorf("%w: what %s reads must be known when the file is read; end the network before it, with onnx.Output(%s), and %s", ErrUnsupported, im.node.op, strings.Join(names, ", "), rest)
}

// unique reads Unique.
func unique(im *importer, in []value) ([]value, error) {
	f, ints, err := im.knownElements(in[0])
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(f, func(v float32) bool { return v != v }) {
		return nil, fmt.Errorf("%w: NaN among what is made unique", ErrUnsupported)
	}
	x, a := in[0], 0
	if im.node.attrs["axis"] != nil {
		if a, err = axis(im.attr("axis", 0), len(x.shape)); err != nil {
			return nil, err
		}
	} else if x, err = im.reshape(x, []int{elements(x.shape)}); err != nil {
		return nil, err
	}
	if x.shape[a] > maxInts {
		return nil, fmt.Errorf("%w: an axis of %d elements, the most that is made unique is %d", ErrTooLarge, x.shape[a], maxInts)
	}
	order := im.attr("sorted", 1) != 0
	var u uniques
	if f != nil {
		u = distinct(f, x.shape, a, order)
	} else {
		u = distinct(ints, x.shape, a, order)
	}
	index := make([]int32, len(u.first))
	for i, k := range u.first {
		index[i] = int32(k)
	}
	y, err := im.apply(op.Take{Axis: a, Index: index}, x)
	if err != nil {
		return nil, err
	}
	y.dtype = in[0].dtype
	return []value{y, counts(u.first), counts(u.inverse), counts(u.count)}, nil
}

// counts is a known list of integers.
func counts(v []int64) value {
	return value{index: -1, shape: []int{len(v)}, ints: v, dtype: typeInt64}
}

// uniques says of each different item where it occurs first and how often, and of
// each item which of them it is.
type uniques struct{ first, inverse, count []int64 }

// distinct finds the different items along an axis, in their order or in that in
// which they occur.
func distinct[T cmp.Ordered](v []T, shape []int, axis int, sorted bool) uniques {
	n, inner := shape[axis], elements(shape[axis+1:])
	items, order := make([][]T, n), make([]int, n)
	for i, x := range v {
		k := i / inner % n
		items[k] = append(items[k], x)
	}
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return slices.Compare(items[a], items[b]) })
	var groups [][]int // places of equal items
	for i, k := range order {
		if i == 0 || !slices.Equal(items[k], items[order[i-1]]) {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], k)
	}
	if !sorted {
		slices.SortFunc(groups, func(a, b []int) int { return a[0] - b[0] })
	}
	u := uniques{inverse: make([]int64, n)}
	for i, g := range groups {
		u.first, u.count = append(u.first, int64(g[0])), append(u.count, int64(len(g)))
		for _, k := range g {
			u.inverse[k] = int64(i)
		}
	}
	return u
}

// nonZero reads NonZero: the places of what isn't 0, by axis.
func nonZero(im *importer, in []value) ([]value, error) {
	f, ints, err := im.knownElements(in[0])
	if err != nil {
		return nil, err
	}
	var at []int
	for i, v := range f {
		if v != 0 {
			at = append(at, i)
		}
	}
	for i, v := range ints {
		if v != 0 {
			at = append(at, i)
		}
	}
	rank := len(in[0].shape)
	if len(at)*rank > maxInts {
		return nil, tooManyInts(len(at) * rank)
	}
	out := make([]int64, 0, len(at)*rank)
	for axis, step := range strides(in[0].shape) {
		for _, i := range at {
			out = append(out, int64(i/step%in[0].shape[axis]))
		}
	}
	return []value{{index: -1, shape: []int{rank, len(at)}, ints: out, dtype: typeInt64}}, nil
}

// maxBoxes bounds the boxes that NonMaxSuppression compares, each with each.
const maxBoxes = 1 << 14

// nonMaxSuppression reads NonMaxSuppression.
func nonMaxSuppression(im *importer, in []value) ([]value, error) {
	if !isFloat(in[0].dtype) || !isFloat(in[1].dtype) {
		return nil, fmt.Errorf("%w: boxes of %s and scores of %s", ErrUnsupported, typeName(in[0].dtype), typeName(in[1].dtype))
	}
	boxes, _, err := im.knownElements(in[0])
	if err != nil {
		return nil, err
	}
	scores, _, err := im.knownElements(in[1])
	if err != nil {
		return nil, err
	}
	b, s := in[0].shape, in[1].shape
	if len(b) != 3 || len(s) != 3 || b[2] != 4 || s[0] != b[0] || s[2] != b[1] {
		return nil, fmt.Errorf("%w: boxes of shape %s and scores of %s, want (N, boxes, 4) and (N, classes, boxes)", ErrFormat, shapeName(b), shapeName(s))
	}
	if b[1] > maxBoxes {
		return nil, fmt.Errorf("%w: %d boxes, at most %d are compared when the file is read", ErrTooLarge, b[1], maxBoxes)
	}
	numbers := [3]float64{0, 0, math.Inf(-1)} // the most boxes, what is too much overlap, what is too low a score
	for i := range numbers {
		if !has(in, 2+i) {
			continue
		}
		if numbers[i], err = im.knownFloat(in[2+i]); err != nil {
			return nil, fmt.Errorf("input %d: %w", 2+i, err)
		}
	}
	var out []int64
	for i := range s[0] * s[1] {
		n, class := i/s[1], i%s[1]
		of := boxes[n*b[1]*4:][:b[1]*4]
		kept := keptBoxes(of, scores[i*s[2]:][:s[2]], numbers, im.attr("center_point_box", 0) != 0)
		for _, k := range kept {
			out = append(out, int64(n), int64(class), int64(k))
		}
		if len(out) > maxInts {
			return nil, tooManyInts(len(out))
		}
	}
	return []value{{index: -1, shape: []int{len(out) / 3, 3}, ints: out, dtype: typeInt64}}, nil
}

// keptBoxes chooses boxes by falling score, without those that overlap one that is
// chosen.
func keptBoxes(boxes, scores []float32, numbers [3]float64, centered bool) (kept []int) {
	var order []int
	for i, s := range scores {
		if float64(s) > numbers[2] {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	for _, k := range order {
		if float64(len(kept)) >= numbers[0] {
			break
		}
		if !slices.ContainsFunc(kept, func(o int) bool {
			return overlap(boxes[k*4:][:4], boxes[o*4:][:4], centered) > numbers[1]
		}) {
			kept = append(kept, k)
		}
	}
	return kept
}

// overlap is the part of two boxes' common area in the area of both.
func overlap(a, b []float32, centered bool) float64 {
	common, areas := 1.0, [2]float64{1, 1}
	for axis := range 2 {
		var low, high [2]float64
		for i, box := range [2][]float32{a, b} {
			p, q := float64(box[axis]), float64(box[axis+2])
			if centered {
				p, q = p-q/2, p+q/2
			} else if p > q {
				p, q = q, p
			}
			low[i], high[i] = p, q
			areas[i] *= q - p
		}
		common *= math.Max(0, math.Min(high[0], high[1])-math.Max(low[0], low[1]))
	}
	if all := areas[0] + areas[1] - common; common > 0 && all > 0 {
		return common / all
	}
	return 0
}

// bitCast reads BitCast of what is known: the same bits as another type of as many.
func bitCast(im *importer, in []value) ([]value, error) {
	from, to := in[0].dtype, im.attr("to", 0)
	if !isNumber(to) || widths[from] != widths[to] {
		return nil, fmt.Errorf("%w: the bits of %s as %s", ErrUnsupported, typeName(from), typeName(to))
	}
	f, ints, err := im.knownElements(in[0])
	if err != nil {
		return nil, err
	}
	switch {
	case from == to:
		return in[:1], nil
	case !isFloat(from) && !isFloat(to):
		return []value{{index: -1, shape: in[0].shape, ints: wrapped(ints, to), dtype: to}}, nil
	case from == typeFloat && !isFloat(to):
		for _, v := range f {
			ints = append(ints, int64(math.Float32bits(v)))
		}
		if len(ints) > maxInts {
			return nil, tooManyInts(len(ints))
		}
		return []value{{index: -1, shape: in[0].shape, ints: wrapped(ints, to), dtype: to}}, nil
	case to == typeFloat && !isFloat(from):
		out := make([]float32, len(ints))
		for i, v := range ints {
			out[i] = math.Float32frombits(uint32(v))
		}
		return one(im.typed(to)(im.floats("", out, in[0].shape)))
	}
	return nil, fmt.Errorf("%w: the bits of %s as %s", ErrUnsupported, typeName(from), typeName(to))
}
