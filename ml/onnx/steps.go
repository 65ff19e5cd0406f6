package onnx

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/nn"
)

// This file adds values and steps to the trace.

// add puts a value into the trace within the limit.
func (im *importer) add(v graph.Value) (value, error) {
	n := 1
	for _, d := range v.Spec.Shape {
		if d < 1 {
			return value{}, fmt.Errorf("%w: an array of shape %s has no elements", ErrUnsupported, v.Spec)
		}
		if d > im.left/n {
			return value{}, im.beyond("an array of shape %s", v.Spec)
		}
		n *= d
	}
	if len(v.Spec.Shape) > maxRank {
		return value{}, fmt.Errorf("%w: %d dimensions", ErrUnsupported, len(v.Spec.Shape))
	}
	im.left -= n
	im.trace.Values = append(im.trace.Values, v)
	return value{index: len(im.trace.Values) - 1, shape: v.Spec.Shape}, nil
}

// constant takes an array of the file.
func (im *importer) constant(t *tensorProto) (value, error) {
	if !t.float() {
		t, err := im.inside(t)
		if err != nil {
			return value{}, err
		}
		v, shape, err := t.int64s()
		return value{index: -1, shape: shape, ints: v, dtype: t.dtype}, err
	}
	if a := im.arrays[t]; a != nil {
		return im.typed(t.dtype)(im.array(t.name, a))
	}
	bytes, err := im.inside(t)
	if err != nil {
		return value{}, err
	}
	v, shape, err := bytes.float32s()
	if err != nil {
		return value{}, err
	}
	if len(v) == 0 {
		return im.typed(t.dtype)(noElement(shape), nil)
	}
	a, err := nn.NewArray(v, shape...)
	if err != nil {
		return value{}, err
	}
	im.arrays[t] = a
	return im.typed(t.dtype)(im.array(t.name, a))
}

// typed gives a value its elements' type.
func (im *importer) typed(dtype int64) func(value, error) (value, error) {
	return func(v value, err error) (value, error) {
		v.dtype = dtype
		return v, err
	}
}

// floats puts a constant into the trace.
func (im *importer) floats(name string, v []float32, shape []int) (value, error) {
	a, err := nn.NewArray(v, shape...)
	if err != nil {
		return value{}, err
	}
	return im.array(name, a)
}

func (im *importer) array(name string, a *tensor.Dense) (value, error) {
	return im.add(graph.Value{Kind: graph.Constant, Spec: nn.SpecOf(a), Name: name, Data: a})
}

// data returns the array of a constant, nil if it is computed.
func (im *importer) data(v value) *tensor.Dense {
	if v.isInt() {
		return nil
	}
	return im.trace.Values[v.index].Data
}

// apply adds a step with one output.
func (im *importer) apply(op nn.Op, in ...value) (value, error) {
	out, err := im.applyAll(op, in...)
	if err != nil {
		return value{}, err
	}
	return out[0], nil
}

// applyAll adds a step, or computes it if all is known.
func (im *importer) applyAll(o nn.Op, in ...value) ([]value, error) {
	known := len(in) > 0
	for i, v := range in {
		if v.none != "" || im.takes == floats && (v.isInt() || v.whole()) {
			return nil, fmt.Errorf("%w: input %d is left out or holds integers, want floats", ErrUnsupported, i)
		}
		known = known && v.isInt()
	}
	if known {
		return im.fold(o, in)
	}
	var err error
	in = slices.Clone(in)
	for i := range in {
		if in[i].isInt() {
			if in[i], err = im.constantOf(in[i]); err != nil {
				return nil, err
			}
		}
	}
	if im.small(in) {
		return im.foldFloats(o, in)
	}
	return im.step(o, in)
}

// add1 adds a step with one output, whatever the operator takes.
func (im *importer) add1(o nn.Op, in value) (value, error) {
	out, err := im.step(o, []value{in})
	if err != nil {
		return value{}, err
	}
	return out[0], nil
}

// step adds a step.
func (im *importer) step(op nn.Op, in []value) ([]value, error) {
	if len(im.trace.Steps) == maxSteps {
		return nil, fmt.Errorf("%w: more than %d operations", ErrTooLarge, maxSteps)
	}
	s := graph.Step{Op: op, Site: im.node.label()}
	specs := make([]nn.Spec, len(in))
	for i, v := range in {
		s.In = append(s.In, v.index)
		specs[i] = im.trace.Values[v.index].Spec
	}
	outs, err := op.Outputs(specs)
	if err != nil {
		return nil, fmt.Errorf("%w; given %v", err, specs)
	}
	values := make([]value, len(outs))
	for i, o := range outs {
		if values[i], err = im.add(graph.Value{Kind: graph.Computed, Spec: o}); err != nil {
			return nil, err
		}
		s.Out = append(s.Out, values[i].index)
	}
	im.trace.Steps = append(im.trace.Steps, s)
	return values, nil
}
