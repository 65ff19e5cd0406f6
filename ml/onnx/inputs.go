package onnx

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/nn"
)

// inputs gives the graph's inputs their values: one is the row's, the others are
// weights or fixed by options.
func (im *importer) inputs(f *File, o options) error {
	if err := f.checkDims(o); err != nil {
		return err
	}
	row, fixed, err := f.split(o)
	if err != nil {
		return err
	}
	if err := im.row(row, o); err != nil {
		return err
	}
	for _, v := range fixed {
		x, err := im.fixed(v, o)
		if err != nil {
			return fmt.Errorf("input %q: %w", v.name, err)
		}
		im.values[v.name] = x
	}
	return nil
}

// checkDims refuses sizes that are none and names that no input has.
func (f *File) checkDims(o options) error {
	var open []string
	for _, v := range f.graph.inputs {
		for _, d := range v.dims {
			if !d.given && d.name != "" && !slices.Contains(open, d.name) {
				open = append(open, d.name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.dims)) {
		if o.dims[name] < 1 {
			return fmt.Errorf("%w: onnx.Dim(%q, %d): a size is at least 1", ErrInput, name, o.dims[name])
		}
		if !slices.Contains(open, name) {
			return fmt.Errorf("%w: onnx.Dim(%q, %d): no input has an open dimension of this name; there are %q", ErrInput, name, o.dims[name], open)
		}
	}
	return nil
}

// split finds the one input that neither an initializer nor an option gives.
func (f *File) split(o options) (row valueInfo, fixed []valueInfo, err error) {
	weights := map[string]bool{}
	for _, t := range f.graph.initializers {
		weights[t.name] = true
	}
	var rows []string
	for _, v := range f.graph.inputs {
		_, ok := o.fixed[v.name]
		switch {
		case ok:
			fixed = append(fixed, v)
		case !weights[v.name]:
			rows, row = append(rows, v.name), v
		}
	}
	for name := range o.fixed {
		if !slices.ContainsFunc(fixed, func(v valueInfo) bool { return v.name == name }) {
			return row, nil, fmt.Errorf("%w: the graph has no input %q to fix", ErrInput, name)
		}
	}
	if len(rows) != 1 {
		return row, nil, fmt.Errorf("%w: the graph has the inputs %q, want one; give the others with onnx.Fix", ErrInput, rows)
	}
	return row, fixed, nil
}

// integers tells whether elements of a type are integers that an input may have.
func integers(dtype int64) bool { return dtype == typeInt64 || dtype == typeInt32 }

// row adds the input of the row, with the batch as its first dimension; where the
// graph wants it elsewhere, one row makes that a change of shape.
func (im *importer) row(v valueInfo, o options) error {
	if v.dtype != typeFloat && !integers(v.dtype) {
		return fmt.Errorf("%w: input %q has elements of %s, want float, int32 or int64", ErrInput, v.name, typeName(v.dtype))
	}
	if !v.known || o.batch < 0 || o.batch >= len(v.dims) || len(v.dims) > maxRank {
		return fmt.Errorf("%w: input %q has no shape whose dimension %d is the batch", ErrInput, v.name, o.batch)
	}
	shape := make([]int, len(v.dims))
	for i, d := range v.dims {
		if shape[i] = 1; i != o.batch {
			var err error
			if shape[i], err = o.size(v.name, i, d, ""); err != nil {
				return err
			}
		}
	}
	if im.batchName = v.dims[o.batch].name; o.batch == 0 {
		im.batch = v.dims[0].value
	}
	in, err := im.add(graph.Value{Kind: graph.Input, Spec: nn.FloatSpec(batchFirst(shape, o.batch)...), Name: v.name})
	if err != nil {
		return err
	}
	im.trace.Inputs = []int{in.index}
	im.node = &node{name: v.name}
	if in, err = im.reshape(in, shape); err != nil {
		return err
	}
	in.whole = integers(v.dtype)
	im.values[v.name] = in
	return nil
}

// batchFirst moves an axis to the front.
func batchFirst(shape []int, axis int) []int {
	rest := slices.Delete(slices.Clone(shape), axis, axis+1)
	return slices.Insert(rest, 0, shape[axis])
}

// size is the size of an input's dimension that isn't the row's batch.
func (o *options) size(input string, i int, d dimension, batch string) (int, error) {
	n := d.value
	if d.given && (n < 1 || n > math.MaxInt32) {
		return 0, fmt.Errorf("%w: dimension %d of input %q has the size %d in the file; export it with its size, or open, with a name", ErrInput, i, input, n)
	}
	if v, ok := o.dims[d.name]; ok && !d.given {
		n = int64(v)
	}
	if !d.given && d.name != "" && d.name == batch {
		return 1, nil
	}
	if n < 1 || n > math.MaxInt32 {
		return 0, fmt.Errorf("%w: dimension %d (%q) of input %q is open; give it with onnx.Dim", ErrInput, i, d.name, input)
	}
	return int(n), nil
}

// fixed makes a constant of an input.
func (im *importer) fixed(v valueInfo, o options) (value, error) {
	if !v.known || len(v.dims) > maxRank || v.dtype != typeFloat && !integers(v.dtype) {
		return value{}, fmt.Errorf("%w: only arrays of float32, int32 or int64 with a shape can be fixed", ErrInput)
	}
	shape, n := make([]int, len(v.dims)), 1
	for i, d := range v.dims {
		var err error
		if shape[i], err = o.size(v.name, i, d, im.batchName); err != nil {
			return value{}, err
		}
		if shape[i] > im.left/n {
			return value{}, fmt.Errorf("%w: an array of shape %s exceeds onnx.MaxElements", ErrTooLarge, shapeName(shape))
		}
		n *= shape[i]
	}
	given := o.fixed[v.name]
	if len(given) == 1 {
		given = slices.Repeat(given, n)
	}
	if len(given) != n {
		return value{}, fmt.Errorf("%w: %d values for shape %s", ErrInput, len(given), shapeName(shape))
	}
	if v.dtype == typeFloat {
		f := make([]float32, n)
		for i, x := range given {
			f[i] = float32(x)
		}
		return im.floats(v.name, f, shape)
	}
	ints := make([]int64, n)
	for i, x := range given {
		if ints[i] = int64(x); float64(ints[i]) != x {
			return value{}, fmt.Errorf("%w: %v is no integer", ErrInput, x)
		}
	}
	im.left -= n
	return value{index: -1, shape: shape, ints: ints}, nil
}

// output returns the graph's output with the batch as its first dimension.
func (im *importer) output(f *File, o options) (value, error) {
	i := 0
	if o.output != "" {
		i = slices.IndexFunc(f.graph.outputs, func(v valueInfo) bool { return v.name == o.output })
	}
	if i < 0 || i >= len(f.graph.outputs) {
		return value{}, fmt.Errorf("%w: the graph has no output %q", ErrInput, o.output)
	}
	info := f.graph.outputs[i]
	v, ok := im.values[info.name]
	if v.none != "" {
		return value{}, fmt.Errorf("%w: output %q is %s", ErrInput, info.name, v.none)
	}
	if !ok || v.isInt() {
		return value{}, fmt.Errorf("%w: output %q isn't an array of floats that a node writes", ErrInput, info.name)
	}
	if o.batch == 0 {
		return v, nil
	}
	axis := o.batch
	if named := slices.IndexFunc(info.dims, func(d dimension) bool { return d.name != "" && d.name == im.batchName }); named >= 0 {
		axis = named
	}
	if axis >= len(v.shape) || v.shape[axis] != 1 {
		return v, nil
	}
	im.node = &node{name: info.name}
	return im.reshape(v, batchFirst(v.shape, axis))
}
