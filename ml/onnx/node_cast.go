package onnx

import (
	"fmt"
	"math"

	"github.com/hibana-engine/hibana/ml/op"
)

// cast reads Cast.
func cast(im *importer, in []value) ([]value, error) {
	if round := im.attrString("round_mode", "up"); round != "up" {
		return nil, fmt.Errorf("%w: round_mode %q", ErrUnsupported, round)
	}
	return one(im.cast(in[0], im.attr("to", 0)))
}

// castLike reads CastLike.
func castLike(im *importer, in []value) ([]value, error) { return one(im.cast(in[0], in[1].dtype)) }

// cast converts elements. Floats of any width are computed with as float32; what
// becomes float16 or bfloat16 is rounded to it. Known integers wrap; those that
// depend on the row, or are made of what does, must fit.
func (im *importer) cast(x value, to int64) (value, error) {
	if !isNumber(to) {
		return value{}, fmt.Errorf("%w: a conversion to %s", ErrUnsupported, typeName(to))
	}
	var err error
	from := x.dtype
	switch {
	case x.isInt() && !isFloat(to):
		return value{index: -1, shape: x.shape, ints: wrapped(x.ints, to), dtype: to}, nil
	case x.isInt():
		if x, err = im.asFloats(x); err != nil {
			return value{}, err
		}
	case im.data(x) != nil && elements(x.shape) <= maxInts && !isFloat(to):
		return truncated(im.data(x).Float32s(), x.shape, to)
	}
	if x.none != "" {
		x.dtype = to
		return x, nil
	}
	switch {
	case from == to:
	case to == typeFloat16:
		x, err = im.add1(op.RoundHalf{}, x)
	case to == typeBrain:
		x, err = im.add1(op.Map{Function: "BFloat"}, x)
	case isFloat(to), from == typeBool:
	case to == typeBool:
		x, err = im.add1(op.Map{Function: "NonZero"}, x)
	default:
		if isFloat(from) {
			if x, err = im.add1(op.Map{Function: "Trunc"}, x); err != nil {
				return value{}, err
			}
		}
		low, high := limits(to)
		if l, h := limits(from); isFloat(from) || l < low || h > high {
			x, err = im.add1(op.Exact{Low: float32(max(low, -op.MaxExact)), High: float32(min(high, op.MaxExact))}, x)
		}
	}
	x.dtype = to
	return x, err
}

// asFloats turns known integers into floats, rounded where they must be.
func (im *importer) asFloats(x value) (value, error) {
	if len(x.ints) == 0 {
		return noElement(x.shape), nil
	}
	v := make([]float32, len(x.ints))
	for i, n := range x.ints {
		v[i] = float32(n)
	}
	return im.floats("", v, x.shape)
}

// truncated makes integers of known floats.
func truncated(v []float32, shape []int, to int64) (value, error) {
	out := make([]int64, len(v))
	low, high := limits(to)
	for i, f := range v {
		x := math.Trunc(float64(f))
		switch {
		case to == typeBool && f != 0:
			x = 1
		case !(x >= low && x <= high && x < math.MaxInt64):
			return value{}, fmt.Errorf("%w: %v becomes %s", ErrUnsupported, f, typeName(to))
		}
		out[i] = int64(x)
	}
	return value{index: -1, shape: shape, ints: out, dtype: to}, nil
}

// wrapped keeps as many bits of integers as a type has.
func wrapped(v []int64, to int64) []int64 {
	out := make([]int64, len(v))
	for i, n := range v {
		switch to {
		case typeBool:
			if n != 0 {
				out[i] = 1
			}
		case typeInt8:
			out[i] = int64(int8(n))
		case typeUint8:
			out[i] = int64(uint8(n))
		case typeInt16:
			out[i] = int64(int16(n))
		case typeUint16:
			out[i] = int64(uint16(n))
		case typeInt32:
			out[i] = int64(int32(n))
		case typeUint32:
			out[i] = int64(uint32(n))
		default:
			out[i] = n
		}
	}
	return out
}
