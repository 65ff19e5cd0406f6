package onnx

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/op"
)

// reduce reads the reductions.
func reduce(im *importer, in []value) ([]value, error) {
	list, given, err := im.list(in, 1, "axes")
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		given = false
	}
	x := in[0]
	axes := op.Axes{Keep: im.attr("keepdims", 1) != 0}
	if !given && im.attr("noop_with_empty_axes", 0) != 0 {
		return one(im.reduceNothing(x))
	}
	if axes.Over, err = axesOf(list, len(x.shape)); err != nil {
		return nil, err
	}
	if x.empty {
		return one(im.reduceEmpty(x, axes))
	}
	return one(im.reduce(x, axes))
}

// reduceNothing is a reduction over no axis, which leaves what it does to each
// element.
func (im *importer) reduceNothing(x value) (value, error) {
	switch im.node.op {
	case "ReduceL1":
		return im.apply(op.Abs{}, x)
	case "ReduceL2":
		return im.apply(op.Abs{}, x)
	case "ReduceSumSquare":
		return im.apply(op.Square{}, x)
	case "ReduceLogSum":
		return im.apply(op.Log{}, x)
	}
	return x, nil
}

func (im *importer) reduce(x value, axes op.Axes) (value, error) {
	if len(axes.Over) == 0 && len(x.shape) == 0 { // a number
		return im.reduceNothing(x)
	}
	switch im.node.op {
	case "ReduceMean":
		return im.apply(op.Mean{Axes: axes}, x)
	case "ReduceSum":
		return im.sum(x, axes)
	case "ReduceMax":
		return im.apply(op.Max{Axes: axes}, x)
	case "ReduceMin":
		return im.apply(op.Min{Axes: axes}, x)
	case "ReduceProd":
		return im.apply(op.Prod{Axes: axes}, x)
	case "ReduceL1":
		return im.chain(x, op.Abs{}, op.Sum{Axes: axes})
	case "ReduceL2":
		return im.chain(x, op.Square{}, op.Sum{Axes: axes}, op.Sqrt{})
	case "ReduceSumSquare":
		return im.chain(x, op.Square{}, op.Sum{Axes: axes})
	case "ReduceLogSum":
		return im.chain(x, op.Sum{Axes: axes}, op.Log{})
	case "ReduceLogSumExp":
		return im.logSumExp(x, axes)
	}
	return value{}, ErrOperator
}

// sum adds up. Sums of integers that depend on the row are checked as they grow,
// so that none is rounded on its way.
func (im *importer) sum(x value, axes op.Axes) (value, error) {
	if !x.whole() {
		return im.apply(op.Sum{Axes: axes}, x)
	}
	size, err := im.apply(op.Abs{}, x)
	if err == nil {
		size, err = im.apply(op.Sum{Axes: axes}, size)
	}
	if err == nil {
		size, err = im.add1(op.Exact{Low: 0, High: op.MaxExact}, size)
	}
	if err != nil {
		return value{}, err
	}
	y, err := im.apply(op.Sum{Axes: axes}, x)
	if err != nil {
		return value{}, err
	}
	return im.apply(op.Minimum{}, y, size) // |y| is at most size
}

// logSumExp is computed from the largest element on, without overflow.
func (im *importer) logSumExp(x value, axes op.Axes) (value, error) {
	keep := op.Axes{Over: axes.Over, Keep: true}
	largest, err := im.apply(op.Max{Axes: keep}, x)
	if err != nil {
		return value{}, err
	}
	y, err := im.apply(op.Sub{}, x, largest)
	if err == nil {
		y, err = im.chain(y, op.Exp{}, op.Sum{Axes: axes}, op.Log{})
	}
	if err == nil {
		largest, err = im.reshape(largest, y.shape)
	}
	if err != nil {
		return value{}, err
	}
	return im.apply(op.Add{}, y, largest)
}

// extreme reads ArgMax and ArgMin.
func extreme(im *importer, in []value) ([]value, error) {
	x := in[0]
	a, err := axis(im.attr("axis", 0), len(x.shape))
	if err != nil {
		return nil, err
	}
	y, err := im.apply(op.Index{Axis: a, Least: im.node.op == "ArgMin", Last: im.attr("select_last_index", 0) != 0}, x)
	if err == nil && im.attr("keepdims", 1) == 0 {
		y, err = im.reshape(y, append(append([]int{}, x.shape[:a]...), x.shape[a+1:]...))
	}
	return one(im.typed(typeInt64)(y, err))
}

// hardmax reads Hardmax: 1 for the first of the largest elements, 0 for the others.
func hardmax(im *importer, in []value) ([]value, error) {
	x := in[0]
	return im.coerced(x, func(x value, a int) (value, error) {
		y, err := im.apply(op.Index{Axis: a}, x)
		if err != nil {
			return value{}, err
		}
		places, err := im.counting(len(x.shape), a, x.shape[a])
		if err != nil {
			return value{}, err
		}
		return im.apply(op.Zip{Function: "Equal"}, y, places)
	})
}

// counting are the numbers from 0 to n-1 along an axis.
func (im *importer) counting(rank, axis, n int) (value, error) {
	shape, v := make([]int, rank), make([]float32, n)
	for i := range shape {
		shape[i] = 1
	}
	shape[axis] = n
	for i := range v {
		v[i] = float32(i)
	}
	return im.floats("", v, shape)
}

// cumulate reads CumSum and CumProd.
func cumulate(im *importer, in []value) ([]value, error) {
	if !in[1].isInt() || len(in[1].ints) != 1 {
		return nil, fmt.Errorf("%w: input 1, the axis, must be one integer that is known when the file is read", ErrUnsupported)
	}
	a, err := axis(in[1].ints[0], len(in[0].shape))
	if err != nil {
		return nil, err
	}
	return one(im.apply(op.Cumulate{Axis: a, Exclusive: im.attr("exclusive", 0) != 0, Reverse: im.attr("reverse", 0) != 0,
		Product: im.node.op == "CumProd"}, in[0]))
}

// top reads TopK, whose results are in order.
func top(im *importer, in []value) ([]value, error) {
	x := in[0]
	a, err := axis(im.attr("axis", -1), len(x.shape))
	if err != nil {
		return nil, err
	}
	k := im.attr("k", 0)
	if has(in, 1) {
		if !in[1].isInt() || len(in[1].ints) != 1 {
			return nil, fmt.Errorf("%w: input 1, K, must be one integer that is known when the file is read", ErrUnsupported)
		}
		k = in[1].ints[0]
	}
	if k < 1 || k > int64(x.shape[a]) {
		return nil, fmt.Errorf("%w: the top %d of an axis of %d", ErrUnsupported, k, x.shape[a])
	}
	out, err := im.applyAll(op.Top{Axis: a, K: int(k), Least: im.attr("largest", 1) == 0}, x)
	if err != nil {
		return nil, err
	}
	out[0].dtype, out[1].dtype = x.dtype, typeInt64
	return out, nil
}
