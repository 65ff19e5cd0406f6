package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// A model has one input and one output. Where a graph has several that differ from
// row to row, such as the state of a stream, the model's row is all of them, one
// after another.

// packed adds several inputs that are parts of the row.
func (im *importer) packed(inputs []valueInfo, o options) error {
	shapes, axes, total := make([][]int, len(inputs)), make([]int, len(inputs)), 0
	for i, v := range inputs {
		if !v.known || len(v.dims) >= maxRank || !isNumber(v.dtype) {
			return fmt.Errorf("%w: input %q has elements of %s and %d dimensions, want numbers or truth values and at most %d", ErrInput, v.name, typeName(v.dtype), len(v.dims), maxRank-1)
		}
		if axes[i] = -1; !o.whole {
			axes[i] = im.batchIn(v, i == 0, o)
			if axes[i] < 0 || axes[i] >= len(v.dims) {
				return fmt.Errorf("%w: input %q has no dimension that is the batch", ErrInput, v.name)
			}
		}
		for k, d := range v.dims {
			n := im.rows
			if k != axes[i] {
				var err error
				if n, err = o.size(v.name, k, d); err != nil {
					return err
				}
			}
			shapes[i] = append(shapes[i], n)
			if elements(shapes[i]) > im.left {
				return im.beyond("input %q of shape %s", v.name, shapeName(shapes[i]))
			}
		}
		total += elements(shapes[i]) / im.rows
	}
	in, err := im.add(graph.Value{Kind: graph.Input, Spec: nn.FloatSpec(im.rows, total), Name: inputs[0].name})
	if err != nil {
		return err
	}
	im.trace.Inputs, im.takes = []int{in.index}, anything
	at := 0
	for i, v := range inputs {
		im.node = &node{name: v.name}
		n := elements(shapes[i]) / im.rows
		x, err := im.part(in, shapes[i], axes[i], at, n)
		if err != nil {
			return err
		}
		at += n
		x.dtype = v.dtype
		im.values[v.name] = x
	}
	return nil
}

// batchIn is the dimension of an input that is the batch: of the first input the one
// that the option says, of the others the one with its name, or at its place.
func (im *importer) batchIn(v valueInfo, first bool, o options) int {
	if !first {
		if i := slices.IndexFunc(v.dims, func(d dimension) bool { return d.name != "" && d.name == im.batchName }); i >= 0 {
			return i
		}
		return o.batch
	}
	if o.batch >= 0 && o.batch < len(v.dims) {
		im.batchName, im.fileBatch = v.dims[o.batch].name, v.dims[o.batch].value
	}
	if o.batch == 0 {
		im.batch = im.fileBatch
	}
	return o.batch
}

// part takes n elements of each row and gives them a shape, with the batch at an
// axis, or without one below 0.
func (im *importer) part(rows value, shape []int, batch, from, n int) (value, error) {
	x, err := im.apply(op.Slice{Ranges: []op.Range{whole(im.rows), {From: from, Count: n, Step: 1}}}, rows)
	if err != nil {
		return value{}, err
	}
	if batch < 0 {
		return im.reshape(x, shape)
	}
	if x, err = im.reshape(x, batchFirst(shape, batch)); err != nil {
		return value{}, err
	}
	return im.transpose(x, fromFirst(len(shape), batch))
}

// output returns the model's result: an output of the graph, or several of them one
// after another.
func (im *importer) output(f *File, o options) (value, error) {
	names := o.outputs
	if len(names) == 0 && len(f.graph.outputs) > 0 {
		names = []string{f.graph.outputs[0].name}
	}
	var parts []value
	for _, name := range names {
		v, err := im.outputNamed(f, o, name)
		if err != nil || len(names) == 1 {
			return v, err
		}
		if len(v.shape) == 0 || v.shape[0] != im.rows {
			return value{}, fmt.Errorf("%w: output %q of shape %s isn't of rows, as each of several must be", ErrInput, name, shapeName(v.shape))
		}
		if v, err = im.reshape(v, []int{im.rows, elements(v.shape) / im.rows}); err != nil {
			return value{}, err
		}
		parts = append(parts, v)
	}
	if len(parts) == 0 {
		return value{}, fmt.Errorf("%w: the graph has no output", ErrInput)
	}
	im.node = &node{name: "outputs"}
	return im.apply(op.Concat{Axis: 1}, parts...)
}
