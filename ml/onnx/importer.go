package onnx

import (
	"fmt"
	"math"
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/nn"
)

// maxSteps bounds the operations that the nodes become, each of which takes a few
// KiB until the network is compiled, whatever its arrays hold.
const maxSteps = 1 << 17

// importer walks a graph in its order, which ONNX requires to be topological.
// Floats become values of a trace; integers, which only shapes are made of, are
// computed here and now.
type importer struct {
	opset     int
	rows      int    // of the batch that the graph is read for
	batch     int64  // the input's first dimension in the file, 0 if open or not the batch
	fileBatch int64  // the size of the batch in the file, 0 if open
	batchName string // of the input's batch dimension, "" if none
	values    map[string]value
	trace     *graph.Trace
	left      int                            // of MaxElements
	arrays    map[*tensorProto]*tensor.Dense // weights, which readings for other rows share
	ints      int                            // known integers that nodes gave up to here
	unrolled  int                            // steps of recurrent nodes up to here

	node *node // the one being read
}

// value is what a name in the graph stands for: an array of floats in the trace,
// or known integers.
type value struct {
	index int // into Trace.Values, -1 for known integers
	shape []int
	ints  []int64 // row-major, only for known integers
	none  string  // why there is nothing to compute with, else ""
	whole bool    // the floats are integers of the graph that depend on the row
}

func (v value) isInt() bool { return v.index < 0 }

// newImporter reads for a number of rows. Weights go to arrays, or come from there.
func newImporter(f *File, o options, rows int, arrays map[*tensorProto]*tensor.Dense) *importer {
	return &importer{opset: f.Opset, rows: rows, arrays: arrays, values: map[string]value{}, trace: &graph.Trace{}, left: min(o.maxElements, math.MaxInt/rows) * rows}
}

// trace reads the graph for a number of rows.
func (f *File) trace(o options, rows int, arrays map[*tensorProto]*tensor.Dense) (*graph.Trace, error) {
	im := newImporter(f, o, rows, arrays)
	if i, err := im.nodes(f, o, len(f.graph.nodes)); err != nil {
		if i >= 0 {
			n := f.graph.nodes[i]
			err = fmt.Errorf("%s: operator %s: %w", n.label(), n.operator(), im.inRows(f, o, i, err))
		}
		return nil, err
	}
	out, err := im.output(f, o)
	if err != nil {
		return nil, err
	}
	return im.finish(out), nil
}

// nodes reads the graph up to a number of nodes, and tells which one failed, -1 if
// none did.
func (im *importer) nodes(f *File, o options, until int) (int, error) {
	if err := im.inputs(f, o); err != nil {
		return -1, err
	}
	for _, t := range f.graph.initializers {
		v, err := im.constant(t)
		if err != nil {
			return -1, err
		}
		if _, fixed := o.fixed[t.name]; !fixed {
			im.values[t.name] = v
		}
	}
	for i, n := range f.graph.nodes[:until] {
		im.node = n
		if err := im.read(n); err != nil {
			return i, err
		}
	}
	return -1, nil
}

// label names a node in messages.
func (n *node) label() string {
	if n.name != "" {
		return fmt.Sprintf("node %q", n.name)
	}
	return fmt.Sprintf("node %d (output %q)", n.number, first(n.outputs))
}

// operator is the node's operator with its domain.
func (n *node) operator() string {
	if n.domain != "" && n.domain != "ai.onnx" {
		return n.domain + "::" + n.op
	}
	return n.op
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// read turns one node into steps or integers.
func (im *importer) read(n *node) error {
	o, ok := operators[n.operator()]
	if !ok {
		return fmt.Errorf("%w (opset %d)", ErrOperator, im.opset)
	}
	if err := o.form(im.opset).check(n); err != nil {
		return err
	}
	in, err := im.arguments(n)
	if err != nil {
		return err
	}
	whole, err := im.whole(in)
	if err != nil {
		return err
	}
	out, err := o.read(im, in)
	if err != nil {
		return err
	}
	for i, v := range out {
		out[i].whole = v.whole || whole
		im.left -= len(v.ints)
		if im.ints += len(v.ints); im.left < 0 || im.ints > maxAllInts {
			return fmt.Errorf("%w: the graph's integers exceed onnx.MaxElements or %d", ErrTooLarge, maxAllInts)
		}
	}
	for i, name := range n.outputs {
		switch {
		case name == "":
		case i < len(out):
			im.values[name] = out[i]
		default: // read by nobody, or else an error there
			im.values[name] = nothing(fmt.Sprintf("output %d of %s, which isn't computed", i, n.label()))
		}
	}
	return nil
}

// arguments returns the values that a node reads.
func (im *importer) arguments(n *node) ([]value, error) {
	in := make([]value, len(n.inputs))
	for i, name := range n.inputs {
		v, ok := im.values[name]
		switch {
		case name == "":
			v = nothing("left out")
		case !ok:
			return nil, fmt.Errorf("%w: it reads %q, which no node before it writes", ErrFormat, name)
		case v.none != "":
			return nil, fmt.Errorf("%w: input %d, %q, is %s", ErrUnsupported, i, name, v.none)
		}
		in[i] = v
	}
	return in, nil
}

// nothing stands for what can't be computed with.
func nothing(why string) value { return value{index: -1, none: why} }

// whole tells whether a node's results are integers that depend on the row. They
// are kept as floats, so only what moves them may read them, and what they are for.
func (im *importer) whole(in []value) (bool, error) {
	i := slices.IndexFunc(in, func(v value) bool { return v.whole })
	switch operator := im.node.operator(); {
	case i < 0, operator == "Shape", operator == "Cast":
		return false, nil
	case operator == "Gather":
		return in[0].whole, nil
	case moves[operator]:
		return true, nil
	}
	return false, fmt.Errorf("%w: input %d holds integers that depend on the row; they can be moved, looked up with Gather and cast to float", ErrUnsupported, i)
}

// finish makes v the output and leaves out what doesn't lead to it.
func (im *importer) finish(v value) *graph.Trace {
	t := im.trace
	t.Outputs = []int{v.index}
	needed := make([]bool, len(t.Values))
	needed[v.index] = true
	var steps []graph.Step
	for i := len(t.Steps) - 1; i >= 0; i-- {
		s := t.Steps[i]
		if !slices.ContainsFunc(s.Out, func(v int) bool { return needed[v] }) {
			continue
		}
		for _, in := range s.In {
			needed[in] = true
		}
		steps = append(steps, s)
	}
	slices.Reverse(steps)
	t.Steps = steps
	return t
}

// add puts a value into the trace within the limit.
func (im *importer) add(v graph.Value) (value, error) {
	n := 1
	for _, d := range v.Spec.Shape {
		if d < 1 || d > im.left/n {
			return value{}, fmt.Errorf("%w: an array of shape %s exceeds onnx.MaxElements", ErrTooLarge, v.Spec)
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
		v, shape, err := t.int64s()
		return value{index: -1, shape: shape, ints: v}, err
	}
	if a := im.arrays[t]; a != nil {
		return im.array(t.name, a)
	}
	v, shape, err := t.float32s()
	if err != nil {
		return value{}, err
	}
	if len(v) == 0 {
		return nothing(fmt.Sprintf("an array of shape %s, which holds no element", shapeName(shape))), nil
	}
	a, err := nn.NewArray(v, shape...)
	if err != nil {
		return value{}, err
	}
	im.arrays[t] = a
	return im.array(t.name, a)
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

// applyAll adds a step.
func (im *importer) applyAll(op nn.Op, in ...value) ([]value, error) {
	if len(im.trace.Steps) == maxSteps {
		return nil, fmt.Errorf("%w: more than %d operations", ErrTooLarge, maxSteps)
	}
	s := graph.Step{Op: op, Site: im.node.label()}
	specs := make([]nn.Spec, len(in))
	for i, v := range in {
		if v.isInt() {
			return nil, fmt.Errorf("%w: input %d is left out or holds integers, want floats", ErrUnsupported, i)
		}
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

// one is the result of an operator with one output.
func one(v value, err error) ([]value, error) {
	if err != nil {
		return nil, err
	}
	return []value{v}, nil
}
