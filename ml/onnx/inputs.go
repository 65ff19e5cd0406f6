package onnx

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/nn"
)

// inputs gives the graph's inputs their values: one is the row's, the others are
// weights or fixed by options.
func (im *importer) inputs(f *File, o options) error {
	if err := f.checkDims(o); err != nil {
		return err
	}
	row, more, fixed, err := f.split(o)
	if err != nil {
		return err
	}
	switch {
	case o.whole && o.batch != 0:
		return fmt.Errorf("%w: onnx.Batch(%d) with onnx.Whole, which says that there is no batch", ErrInput, o.batch)
	case len(more) > 0:
		err = im.packed(append([]valueInfo{row}, more...), o)
	case o.whole && row.name == "": // all are fixed, which Trace allows
	case o.whole:
		err = im.all(row, o)
	default:
		err = im.row(row, o)
	}
	if err != nil {
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
	if len(o.dims) == 0 {
		return nil
	}
	var open []string // what they are called
	named, places := map[string]bool{}, map[string]bool{}
	for _, v := range f.graph.inputs {
		for i, d := range v.dims {
			if d.given {
				continue
			}
			places[place(v.name, i)] = true
			if name := cmp.Or(d.name, place(v.name, i)); !named[name] {
				named[name] = true
				open = append(open, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.dims)) {
		if o.dims[name] < 1 {
			return fmt.Errorf("%w: onnx.Dim(%q, %d): a size is at least 1", ErrInput, name, o.dims[name])
		}
		if !named[name] && !places[name] {
			return fmt.Errorf("%w: onnx.Dim(%q, %d): no input has an open dimension of this name; there are %q", ErrInput, name, o.dims[name], open[:min(len(open), maxListed)])
		}
	}
	return nil
}

// split finds the one input that neither an initializer nor an option gives, and
// those that are further parts of the row.
func (f *File) split(o options) (row valueInfo, more, fixed []valueInfo, err error) {
	weights := map[string]bool{}
	for _, t := range f.graph.initializers {
		weights[t.name] = true
	}
	for _, name := range o.perRow {
		i := slices.IndexFunc(f.graph.inputs, func(v valueInfo) bool { return v.name == name })
		_, given := o.fixed[name]
		if i < 0 || given {
			return row, nil, nil, fmt.Errorf("%w: onnx.PerRow(%q): the graph has no such input that nothing else gives", ErrInput, name)
		}
		more = append(more, f.graph.inputs[i])
	}
	var rows []string
	for _, v := range f.graph.inputs {
		_, ok := o.fixed[v.name]
		switch {
		case ok:
			fixed = append(fixed, v)
		case slices.Contains(o.perRow, v.name):
		case !weights[v.name]:
			rows, row = append(rows, v.name), v
		}
	}
	for name := range o.fixed {
		if !slices.ContainsFunc(fixed, func(v valueInfo) bool { return v.name == name }) {
			return row, nil, nil, fmt.Errorf("%w: the graph has no input %q to fix", ErrInput, name)
		}
	}
	switch {
	case len(rows) == 1 || o.whole && len(rows) == 0 && len(more) == 0:
	case len(rows) == 0 && len(fixed)+len(more) > 0:
		return row, nil, nil, fmt.Errorf("%w: onnx.Fix or onnx.PerRow gives all inputs of the graph, %q; leave one, which is the row", ErrInput, f.inputNames())
	default:
		return row, nil, nil, fmt.Errorf("%w: the graph has %d inputs, %q, want one; give the others with onnx.Fix or onnx.PerRow", ErrInput, len(rows), rows[:min(len(rows), maxListed)])
	}
	return row, more, fixed, nil
}

// inputNames lists the first inputs that no weight in the file gives.
func (f *File) inputNames() []string {
	var names []string
	for _, p := range f.Inputs() {
		names = append(names, p.Name)
	}
	return names[:min(len(names), maxListed)]
}

// row adds the input of the rows, with the batch as its first dimension; where the
// graph wants it elsewhere it is moved there.
func (im *importer) row(v valueInfo, o options) error {
	if !isNumber(v.dtype) {
		return fmt.Errorf("%w: input %q has elements of %s, want numbers or truth values", ErrInput, v.name, typeName(v.dtype))
	}
	if !v.known || o.batch < 0 || o.batch >= len(v.dims) || len(v.dims) > maxRank {
		return fmt.Errorf("%w: input %q has no shape whose dimension %d is the batch", ErrInput, v.name, o.batch)
	}
	shape := make([]int, len(v.dims))
	for i, d := range v.dims {
		if shape[i] = im.rows; i != o.batch {
			var err error
			if shape[i], err = o.size(v.name, i, d); err != nil {
				return err
			}
		}
	}
	im.batchName, im.fileBatch = v.dims[o.batch].name, v.dims[o.batch].value
	if o.batch == 0 {
		im.batch = im.fileBatch
	}
	in, err := im.add(graph.Value{Kind: graph.Input, Spec: nn.FloatSpec(batchFirst(shape, o.batch)...), Name: v.name})
	if err != nil {
		return err
	}
	im.trace.Inputs = []int{in.index}
	im.node, im.takes = &node{name: v.name}, anything
	if in, err = im.transpose(in, fromFirst(len(shape), o.batch)); err != nil {
		return err
	}
	in.dtype = v.dtype
	im.values[v.name] = in
	return nil
}

// all adds an input that is a row as a whole.
func (im *importer) all(v valueInfo, o options) error {
	if !v.known || len(v.dims) >= maxRank || !isNumber(v.dtype) {
		return fmt.Errorf("%w: input %q has elements of %s and %d dimensions, want numbers or truth values and at most %d", ErrInput, v.name, typeName(v.dtype), len(v.dims), maxRank-1)
	}
	shape := make([]int, len(v.dims))
	for i, d := range v.dims {
		var err error
		if shape[i], err = o.size(v.name, i, d); err != nil {
			return err
		}
	}
	in, err := im.add(graph.Value{Kind: graph.Input, Spec: nn.FloatSpec(append([]int{1}, shape...)...), Name: v.name})
	if err != nil {
		return err
	}
	im.trace.Inputs = []int{in.index}
	im.node, im.takes = &node{name: v.name}, anything
	if in, err = im.reshape(in, shape); err != nil {
		return err
	}
	in.dtype = v.dtype
	im.values[v.name] = in
	return nil
}

// batchFirst moves an axis to the front.
func batchFirst(shape []int, axis int) []int {
	rest := slices.Delete(slices.Clone(shape), axis, axis+1)
	return slices.Insert(rest, 0, shape[axis])
}

// fromFirst is the order of axes that moves the first one to where it is said.
func fromFirst(rank, to int) []int {
	axes := make([]int, rank)
	for i := range axes {
		switch {
		case i < to:
			axes[i] = i + 1
		case i > to:
			axes[i] = i
		}
	}
	return axes
}

// toFirst is the order of axes that moves the said one to the front.
func toFirst(rank, from int) []int {
	axes := make([]int, rank)
	for i := range axes {
		axes[i] = i
	}
	return batchFirst(axes, from)
}

// place names a dimension by where it is.
func place(input string, axis int) string { return fmt.Sprintf("%s[%d]", input, axis) }

// size is the size of an input's dimension that isn't the row's batch.
func (o *options) size(input string, i int, d dimension) (int, error) {
	n := d.value
	if d.given && (n < 1 || n > math.MaxInt32) {
		return 0, fmt.Errorf("%w: dimension %d of input %q has the size %d in the file; export it with its size, or open, with a name", ErrInput, i, input, n)
	}
	if v, ok := o.dims[d.name]; ok && !d.given {
		n = int64(v)
	}
	if v, ok := o.dims[place(input, i)]; ok && !d.given {
		n = int64(v)
	}
	if n < 1 || n > math.MaxInt32 {
		return 0, fmt.Errorf("%w: dimension %d (%q) of input %q is open; give it with onnx.Dim", ErrInput, i, d.name, input)
	}
	return int(n), nil
}

// fixed makes a constant of an input.
func (im *importer) fixed(v valueInfo, o options) (value, error) {
	if !v.known || len(v.dims) > maxRank || !isNumber(v.dtype) {
		return value{}, fmt.Errorf("%w: only arrays of numbers or truth values with a shape can be fixed", ErrInput)
	}
	shape, n := make([]int, len(v.dims)), 1
	var batch []int // axes that are as long as the batch
	for i, d := range v.dims {
		var err error
		if d.given && d.value == 0 { // an array without elements, such as a list of no axes
			shape[i] = 0
		} else if _, given := o.dims[d.name]; !d.given && d.name != "" && d.name == im.batchName && !given {
			shape[i], batch = 1, append(batch, i)
		} else if shape[i], err = o.size(v.name, i, d); err != nil {
			return value{}, err
		}
		if n > 0 && shape[i] > im.left/n {
			return value{}, im.beyond("an array of shape %s", shapeName(shape))
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
	if n == 0 && isFloat(v.dtype) {
		return im.typed(v.dtype)(noElement(shape), nil)
	}
	if isFloat(v.dtype) {
		f := make([]float32, n)
		for i, x := range given {
			f[i] = float32(x)
		}
		for _, a := range batch {
			f = forEach(f, elements(shape[a:]), im.rows)
			shape[a] = im.rows
		}
		return im.typed(v.dtype)(im.floats(v.name, f, shape))
	}
	ints := make([]int64, n)
	for i, x := range given {
		if ints[i] = int64(x); float64(ints[i]) != x {
			return value{}, fmt.Errorf("%w: %v is no integer", ErrInput, x)
		}
	}
	for _, a := range batch {
		ints = forEach(ints, elements(shape[a:]), im.rows)
		shape[a] = im.rows
	}
	im.left -= len(ints)
	return value{index: -1, shape: shape, ints: ints, dtype: v.dtype}, nil
}

// forEach repeats each run of n elements for each row.
func forEach[T any](v []T, n, rows int) []T {
	var out []T
	for run := range slices.Chunk(v, max(1, n)) {
		out = append(out, slices.Repeat(run, rows)...)
	}
	return out
}

// outputNamed returns an output of the graph with the batch as its first dimension.
func (im *importer) outputNamed(f *File, o options, name string) (value, error) {
	i := slices.IndexFunc(f.graph.outputs, func(v valueInfo) bool { return v.name == name })
	if i < 0 {
		return value{}, fmt.Errorf("%w: the graph has no output %q, and no node writes it", ErrInput, name)
	}
	info := f.graph.outputs[i]
	v, ok := im.values[info.name]
	if v.none != "" {
		return value{}, fmt.Errorf("%w: output %q is %s", ErrInput, info.name, v.none)
	}
	if ok && v.isInt() && o.whole { // the tests of ONNX have such
		var err error
		if v, err = im.constantOf(v); err != nil {
			return value{}, fmt.Errorf("output %q: %w", info.name, err)
		}
	}
	if !ok || v.isInt() {
		return value{}, fmt.Errorf("%w: output %q isn't an array of floats that a node writes", ErrInput, info.name)
	}
	if err := im.declared(info, v, o); err != nil {
		return value{}, fmt.Errorf("output %q: %w", info.name, err)
	}
	im.takes = anything
	if o.whole {
		im.node = &node{name: info.name}
		return im.reshape(v, append([]int{1}, v.shape...))
	}
	if o.batch == 0 && len(o.outputs) < 2 {
		return v, nil
	}
	axis := im.batchAxis(info, o)
	if axis >= len(v.shape) || v.shape[axis] != im.rows {
		return v, nil
	}
	im.node = &node{name: info.name}
	return im.transpose(v, toFirst(len(v.shape), axis))
}

// batchAxis is where an output has the batch: where its dimension has the batch's
// name, else where the input has it.
func (im *importer) batchAxis(info valueInfo, o options) int {
	named := slices.IndexFunc(info.dims, func(d dimension) bool { return d.name != "" && d.name == im.batchName })
	if named >= 0 {
		return named
	}
	return o.batch
}

// declared holds an output against the shape that the file says it has. The batch's axis
// has its size where it has its name; the name at a further axis says nothing, since
// PyTorch's exporter also gives it to others, such as the rows of padded images. Files say
// nothing sure of a fixed size of the batch, which is theirs; that it is kept is checked by
// package compile.
func (im *importer) declared(info valueInfo, v value, o options) error {
	if !info.known {
		return nil
	}
	wrong := len(info.dims) != len(v.shape)
	for i, d := range info.dims {
		if wrong {
			break
		}
		if !o.whole && i == im.batchAxis(info, o) {
			_, given := o.dims[d.name]
			wrong = !d.given && d.name != "" && d.name == im.batchName && !given && v.shape[i] != im.rows
			continue
		}
		wrong = d.value > 0 && d.value != int64(v.shape[i]) && (d.value != im.fileBatch || v.shape[i] != im.rows)
	}
	if wrong {
		return fmt.Errorf("%w: the file says that it has the shape %s, and for %s it has %s", ErrInput, declaredShape(info.dims), rowCount(im.rows), shapeName(v.shape))
	}
	return nil
}

// rowCount writes a number of rows.
func rowCount(n int) string {
	if n == 1 {
		return "1 row"
	}
	return fmt.Sprintf("%d rows", n)
}

// declaredShape writes dimensions, of which some may be open.
func declaredShape(dims []dimension) string {
	all := make([]string, len(dims))
	for i, d := range dims {
		switch {
		case d.value > 0:
			all[i] = fmt.Sprint(d.value)
		case d.name != "":
			all[i] = d.name
		default:
			all[i] = "?"
		}
	}
	return "(" + strings.Join(all, ", ") + ")"
}
