package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/op"
)

// reverseSequence reads ReverseSequence with known lengths.
func reverseSequence(im *importer, in []value) ([]value, error) {
	x := in[0]
	if len(x.shape) < 2 || !in[1].isInt() {
		return nil, fmt.Errorf("%w: sequences of shape %s, whose lengths must be known when the file is read", ErrUnsupported, shapeName(x.shape))
	}
	time, batch := int(im.attr("time_axis", 0)), int(im.attr("batch_axis", 1))
	if time+batch != 1 || time*batch != 0 || len(in[1].ints) != x.shape[batch] {
		return nil, fmt.Errorf("%w: time_axis %d, batch_axis %d, %d lengths for %s", ErrFormat, time, batch, len(in[1].ints), shapeName(x.shape))
	}
	step := strides(x.shape)
	at := make([]int32, elements(x.shape))
	for i := range at {
		n, t, b := i, i/step[time]%x.shape[time], i/step[batch]%x.shape[batch]
		l := in[1].ints[b]
		if l < 0 || l > int64(x.shape[time]) {
			return nil, fmt.Errorf("%w: a sequence of %d of %d", ErrFormat, l, x.shape[time])
		}
		if int64(t) < l {
			n += (int(l) - 1 - 2*t) * step[time]
		}
		at[i] = int32(n)
	}
	return one(im.takeFlat(x, at, x.shape))
}

// centerCropPad reads CenterCropPad: the middle of axes, with zeros around.
func centerCropPad(im *importer, in []value) ([]value, error) {
	x := in[0]
	sizes, _, err := im.list(in, 1, "")
	if err != nil {
		return nil, err
	}
	axes := make([]int64, len(x.shape))
	for i := range axes {
		axes[i] = int64(i)
	}
	if list := im.attrInts("axes"); list != nil {
		axes = list
	}
	if _, err := axesOf(axes, len(x.shape)); err != nil {
		return nil, err
	}
	if len(sizes) != len(axes) {
		return nil, fmt.Errorf("%w: %d sizes for %d axes", ErrFormat, len(sizes), len(axes))
	}
	widths := make([][2]int, len(x.shape))
	for i, a := range axes {
		k, _ := axis(a, len(x.shape))
		more := sizes[i] - int64(x.shape[k])
		if sizes[i] < 1 || more > maxSide {
			return nil, fmt.Errorf("%w: size %d", ErrUnsupported, sizes[i])
		}
		before := int(more) / 2
		widths[k] = [2]int{before, int(more) - before}
		if more < 0 && more%2 != 0 { // the odd one is taken from behind
			widths[k] = [2]int{-(int(-more) / 2), int(more) + int(-more)/2}
		}
	}
	return one(im.padConstant(in[:1], widths))
}

// bitwiseNot reads BitwiseNot.
func bitwiseNot(im *importer, in []value) ([]value, error) {
	low, high := limits(in[0].dtype)
	switch {
	case isFloat(in[0].dtype):
		return nil, fmt.Errorf("%w: bits of %s", ErrFormat, typeName(in[0].dtype))
	case in[0].isInt():
		out := slices.Clone(in[0].ints)
		for i := range out {
			out[i] = ^out[i]
		}
		if low == 0 && in[0].dtype == typeUint64 {
			return nil, fmt.Errorf("%w: bits of %s", ErrUnsupported, typeName(in[0].dtype))
		}
		return []value{{index: -1, shape: in[0].shape, ints: wrapped(out, in[0].dtype)}}, nil
	case low < 0:
		return one(im.apply(op.Affine{Scale: -1, Shift: -1}, in[0]))
	case high > op.MaxExact:
		return nil, fmt.Errorf("%w: bits of %s", ErrUnsupported, typeName(in[0].dtype))
	}
	return one(im.apply(op.Affine{Scale: -1, Shift: float32(high)}, in[0]))
}
