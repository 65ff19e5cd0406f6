package onnx

import (
	"errors"
	"fmt"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// What is known when the file is read is computed then. Integers are moved as they
// are; what makes new ones of them is computed with float32, as long as that holds
// them exactly.

// fold computes a step on known integers.
func (im *importer) fold(o nn.Op, in []value) ([]value, error) {
	switch o := o.(type) {
	case op.Reshape, op.Transpose, op.Slice, op.Split, op.Concat, op.BroadcastTo, op.Tile, op.Take:
		return im.move(o, in, nil)
	case op.Select:
		return im.move(o, in[1:], &in[0])
	}
	arrays := make([]*tensor.Dense, len(in))
	for i, v := range in {
		f, err := exactFloats(v.ints)
		if err != nil {
			return nil, err
		}
		if arrays[i], err = known(f, v.shape); err != nil {
			return nil, err
		}
	}
	return results(o, arrays, func(v float32) (int64, error) {
		if n := int64(v); float32(n) == v && v >= -op.MaxExact && v <= op.MaxExact {
			return n, nil
		}
		return 0, fmt.Errorf("%w: %v, made of known integers, is no integer that float32 holds exactly", ErrUnsupported, v)
	})
}

// move gives known integers other places: it is done with their numbers. Select
// has a condition before them.
func (im *importer) move(o nn.Op, in []value, condition *value) ([]value, error) {
	var all []int64
	var arrays []*tensor.Dense
	if condition != nil {
		f, err := exactFloats(condition.ints)
		if err != nil {
			return nil, err
		}
		a, err := known(f, condition.shape)
		if err != nil {
			return nil, err
		}
		arrays = append(arrays, a)
	}
	for _, v := range in {
		at := make([]float32, len(v.ints))
		for i := range at {
			at[i] = float32(len(all) + i)
		}
		a, err := known(at, v.shape)
		if err != nil {
			return nil, err
		}
		arrays, all = append(arrays, a), append(all, v.ints...)
	}
	if len(all) > op.MaxExact {
		return nil, fmt.Errorf("%w: an operation on %d known integers, the most is %d", ErrTooLarge, len(all), op.MaxExact)
	}
	return results(o, arrays, func(at float32) (int64, error) { return all[int(at)], nil })
}

func known(v []float32, shape []int) (*tensor.Dense, error) {
	if len(v) == 0 {
		return nil, fmt.Errorf("%w: an array of shape %s, which holds no element", ErrUnsupported, shapeName(shape))
	}
	return nn.NewArray(v, shape...)
}

// results runs an operation on known numbers and makes integers of what it makes.
func results(o nn.Op, in []*tensor.Dense, integer func(float32) (int64, error)) ([]value, error) {
	c, err := call(o, in)
	if err != nil {
		return nil, err
	}
	values := make([]value, len(c.Out))
	for i := range c.Out {
		y := c.Y(i)
		if len(y) > maxInts {
			return nil, tooManyInts(len(y))
		}
		values[i] = value{index: -1, shape: c.Out[i].Shape(), ints: make([]int64, len(y))}
		for k, v := range y {
			if values[i].ints[k], err = integer(v); err != nil {
				return nil, err
			}
		}
	}
	return values, nil
}

// call runs an operation whose results are small enough.
func call(o nn.Op, in []*tensor.Dense) (*nn.Call, error) {
	specs := make([]nn.Spec, len(in))
	for i, a := range in {
		specs[i] = nn.SpecOf(a)
	}
	outs, err := o.Outputs(specs)
	if err != nil {
		return nil, fmt.Errorf("%w; given %v", err, specs)
	}
	for _, s := range outs {
		n := 1
		for _, d := range s.Shape {
			if d < 1 || d > maxInts/n || len(s.Shape) > maxRank {
				return nil, fmt.Errorf("%w: known numbers of shape %s, the most is %d in %d dimensions", ErrTooLarge, s, maxInts, maxRank)
			}
			n *= d
		}
	}
	c, err := nn.NewCall(o, nil, in...)
	if err == nil {
		err = o.Forward(c)
	}
	return c, err
}

// exactFloats turns integers into floats that hold them exactly.
func exactFloats(v []int64) ([]float32, error) {
	f := make([]float32, len(v))
	for i, n := range v {
		if n < -op.MaxExact || n > op.MaxExact {
			return nil, fmt.Errorf("%w: %d where float32 must hold it exactly, up to 2^24", ErrUnsupported, n)
		}
		f[i] = float32(n)
	}
	return f, nil
}

// constantOf puts known integers into the trace.
func (im *importer) constantOf(v value) (value, error) {
	f, err := exactFloats(v.ints)
	if err != nil {
		return value{}, err
	}
	if len(f) == 0 {
		return noElement(v.shape), nil
	}
	return im.typed(v.dtype)(im.floats("", f, v.shape))
}

// maxFolded bounds the known floats that are computed with while a file is read;
// larger ones are computed when it is compiled.
const maxFolded = 1 << 10

// small tells whether a step's inputs are few known floats.
func (im *importer) small(in []value) bool {
	n := 0
	for _, v := range in {
		if im.data(v) == nil {
			return false
		}
		n += elements(v.shape)
	}
	return len(in) > 0 && n <= maxFolded
}

// foldFloats computes a step on known floats.
func (im *importer) foldFloats(o nn.Op, in []value) ([]value, error) {
	arrays := make([]*tensor.Dense, len(in))
	for i, v := range in {
		arrays[i] = im.data(v)
	}
	c, err := call(o, arrays)
	if errors.Is(err, ErrTooLarge) {
		return im.step(o, in)
	}
	if err != nil {
		return nil, err
	}
	values := make([]value, len(c.Out))
	for i, a := range c.Out {
		if values[i], err = im.array("", a); err != nil {
			return nil, err
		}
	}
	return values, nil
}
