package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/hibana-engine/hibana/ml/op"
)

// attr returns an integer attribute.
func (im *importer) attr(name string, def int64) int64 {
	if a := im.node.attrs[name]; a != nil {
		return a.i
	}
	return def
}

func (im *importer) attrFloat(name string, def float32) float32 {
	if a := im.node.attrs[name]; a != nil {
		return a.f
	}
	return def
}

func (im *importer) attrString(name, def string) string {
	if a := im.node.attrs[name]; a != nil {
		return a.s
	}
	return def
}

// attrInts returns a list of integers, nil if there is none.
func (im *importer) attrInts(name string) []int64 {
	if a := im.node.attrs[name]; a != nil {
		return a.ints
	}
	return nil
}

// maxSide bounds kernel sizes, strides, paddings and dilations.
const maxSide = 1 << 16

// refuse fails if an integer attribute has another value than the only one that
// is supported.
func (im *importer) refuse(name string, only int64) error {
	if v := im.attr(name, only); v != only {
		return fmt.Errorf("%w: attribute %s is %d, want %d", ErrUnsupported, name, v, only)
	}
	return nil
}

// has tells whether an optional input is there.
func has(in []value, i int) bool { return i < len(in) && in[i].none == "" }

// list returns integers that come as input i, or as an attribute in older
// opsets; ok is false if neither is there.
func (im *importer) list(in []value, i int, name string) (v []int64, ok bool, err error) {
	if has(in, i) {
		if !in[i].isInt() {
			return nil, false, fmt.Errorf("%w: input %d must be integers that are known when the file is read", ErrUnsupported, i)
		}
		if rank := len(in[i].shape); rank > 1 || rank == 0 && name != "axes" { // which one number may stand for, in every runtime
			return nil, false, fmt.Errorf("%w: input %d has the shape %s, want a list", ErrFormat, i, shapeName(in[i].shape))
		}
		return in[i].ints, true, nil
	}
	a := im.node.attrs[name]
	if a == nil {
		return nil, false, nil
	}
	return a.ints, true, nil
}

// scalar returns a number that comes as constant input i, or as an attribute in
// older opsets.
func (im *importer) scalar(in []value, i int, name string, def float32) (float32, error) {
	if !has(in, i) {
		return im.attrFloat(name, def), nil
	}
	if v := in[i]; v.isInt() && len(v.ints) == 1 && v.ints[0] <= op.MaxExact && v.ints[0] >= -op.MaxExact {
		return float32(v.ints[0]), nil
	}
	if d := im.data(in[i]); d != nil && len(in[i].shape) <= 1 && elements(in[i].shape) == 1 {
		return d.Float32s()[0], nil
	}
	return 0, fmt.Errorf("%w: input %d must be one constant number of the type of input 0", ErrUnsupported, i)
}

// axis checks an axis and counts a negative one from the last.
func axis(a int64, rank int) (int, error) {
	if a < 0 {
		a += int64(rank)
	}
	if a < 0 || a >= int64(rank) {
		return 0, fmt.Errorf("%w: no such axis in an array of %d dimensions", ErrFormat, rank)
	}
	return int(a), nil
}

// axesOf checks a list of axes and sorts it.
func axesOf(list []int64, rank int) ([]int, error) {
	axes := make([]int, len(list))
	for i, a := range list {
		var err error
		if axes[i], err = axis(a, rank); err != nil {
			return nil, err
		}
	}
	slices.Sort(axes)
	if len(slices.Compact(slices.Clone(axes))) != len(axes) {
		return nil, fmt.Errorf("%w: an axis occurs twice in %v", ErrFormat, list)
	}
	return axes, nil
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

var infinity = float32(math.Inf(1))

// broadcasts tells whether an array of shape from may stand for one of shape to,
// by ONNX's unidirectional rule: axes are matched from the last, those of one
// element repeat.
func broadcasts(from, to []int) bool {
	lead := len(to) - len(from)
	for i, d := range from {
		if lead < 0 || d != 1 && d != to[lead+i] {
			return false
		}
	}
	return lead >= 0
}
