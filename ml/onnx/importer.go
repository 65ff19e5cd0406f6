package onnx

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/op"
)

// maxSteps bounds the operations that the nodes become, each of which takes a few
// KiB until the network is compiled, whatever its arrays hold.
const maxSteps = 1 << 17

// maxReads bounds the nodes that are read, those of loops in each of their steps.
const maxReads = 1 << 18

// importer walks a graph in its order, which ONNX requires to be topological.
// Floats become values of a trace; integers, which only shapes are made of, are
// computed here and now.
type importer struct {
	opset     int
	operators map[string]operator
	rows      int    // of the batch that the graph is read for
	batch     int64  // the input's first dimension in the file, 0 if open or not the batch
	fileBatch int64  // the size of the batch in the file, 0 if open
	batchName string // of the input's batch dimension, "" if none
	values    map[string]value
	trace     *graph.Trace
	files     fs.FS                          // for arrays in other files, nil for none
	most      int                            // elements for a row: MaxElements
	left      int                            // of them, for all rows
	arrays    map[*tensorProto]*tensor.Dense // weights, which readings for other rows share
	ints      int                            // known integers that nodes gave up to here
	unrolled  int                            // steps of recurrent nodes and loops up to here
	reads     int                            // nodes up to here

	node  *node // the one being read
	takes takes // of its operator
}

// value is what a name in the graph stands for: an array of floats in the trace,
// which may stand for integers or truth values that depend on the row, or known
// integers.
type value struct {
	index int // into Trace.Values, -1 for known integers
	shape []int
	ints  []int64 // row-major, only for known integers
	none  string  // why there is nothing to compute with, else ""
	empty bool    // it is an array without elements
	dtype int64   // the elements' type in the file; 0 in the middle of a node
}

// isInt tells whether v is known integers or truth values.
func (v value) isInt() bool { return v.index < 0 }

// whole tells whether v's floats stand for integers or truth values.
func (v value) whole() bool { return v.index >= 0 && v.dtype != 0 && !isFloat(v.dtype) }

// newImporter reads for a number of rows. Weights go to arrays, or come from there.
func newImporter(f *File, o options, rows int, arrays map[*tensorProto]*tensor.Dense) *importer {
	return &importer{opset: f.Opset, operators: operators, files: o.files, rows: rows, arrays: arrays, values: map[string]value{}, trace: &graph.Trace{}, most: o.maxElements, left: min(o.maxElements, math.MaxInt/rows) * rows}
}

// trace reads the graph for a number of rows.
func (f *File) trace(o options, rows int, arrays map[*tensorProto]*tensor.Dense) (*graph.Trace, error) {
	im := newImporter(f, o, rows, arrays)
	if i, err := im.nodes(f, o, len(f.graph.nodes)); err != nil {
		if i >= 0 {
			n := f.graph.nodes[i]
			err = fmt.Errorf("%s: operator %s: %w", n.label(), n.operator(), im.inRows(f, o, i, err))
		}
		return nil, fmt.Errorf("%w%s", err, im.alsoWrong(f.graph.nodes, i))
	}
	out, err := im.output(f, o)
	if err != nil {
		return nil, err
	}
	return im.finish(out), nil
}

// alsoWrong lists what is wrong with the nodes behind one.
func (im *importer) alsoWrong(nodes []*node, behind int) string {
	return alsoWrong(nodes, behind, func(n *node) error {
		_, err := im.operatorOf(n)
		return err
	})
}

// alsoWrong lists what a check finds wrong with the nodes behind one, as far as they show it
// by themselves, so that one message has most of what a file needs. An operator that isn't
// known is told once. Nodes of graphs within nodes aren't looked at.
func alsoWrong(nodes []*node, behind int, check func(*node) error) string {
	told := map[string]bool{}
	var all []string
	for i, n := range nodes {
		name := n.operator()
		err := check(n)
		if err == nil || told[name] && errors.Is(err, ErrOperator) {
			continue
		}
		told[name] = errors.Is(err, ErrOperator)
		if i > behind {
			all = append(all, fmt.Sprintf("%s: operator %s: %v", n.label(), name, err))
		}
	}
	if len(all) == 0 {
		return ""
	}
	more := ""
	if len(all) > maxListed {
		all, more = all[:maxListed], fmt.Sprintf("; and %d more", len(all)-maxListed)
	}
	return "; also " + strings.Join(all, "; ") + more
}

// maxListed bounds the nodes that a message lists.
const maxListed = 16

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
	if im.reads++; im.reads > maxReads {
		return fmt.Errorf("%w: more than %d nodes, of loops in every step", ErrTooLarge, maxReads)
	}
	o, err := im.operatorOf(n)
	if err != nil {
		return err
	}
	in, err := im.arguments(n)
	if err != nil {
		return err
	}
	im.takes = o.takes
	if len(in) > 0 && in[0].empty && keepsEmpty(n.op) {
		v, err := im.ofNothing(in)
		im.set(n.outputs[0], v)
		return err
	}
	if i := slices.IndexFunc(in, func(v value) bool { return v.dtype == typeBool }); i >= 0 && o.takes == numbers {
		return fmt.Errorf("%w: input %d holds truth values, want numbers", ErrFormat, i)
	}
	out, err := o.read(im, in)
	if err != nil {
		return err
	}
	for i := range out {
		if out[i], err = im.settle(out[i], in); err != nil {
			return err
		}
	}
	for i, name := range n.outputs {
		switch {
		case name == "":
		case i < len(out):
			im.set(name, out[i])
		default: // read by nobody, or else an error there
			im.set(name, nothing(fmt.Sprintf("output %d of %s, which isn't computed", i, n.label())))
		}
	}
	return nil
}

// operatorOf returns a node's operator, if it is known and the node is one of its.
func (im *importer) operatorOf(n *node) (operator, error) {
	o, ok := im.operators[n.operator()]
	f, known := formOf(n.operator(), im.opset)
	if !ok || !known {
		return operator{}, fmt.Errorf("%w (opset %d)", ErrOperator, im.opset)
	}
	return o, f.check(n)
}

// set gives a name its value.
func (im *importer) set(name string, v value) { im.values[name] = v }

// settle gives a node's result its type, by default that of the first input, and
// sees to it that integers are ones that floats hold.
func (im *importer) settle(v value, in []value) (value, error) {
	if v.none != "" {
		return v, nil
	}
	if v.dtype == 0 {
		v.dtype = typeFloat
		if len(in) > 0 && in[0].none == "" {
			v.dtype = in[0].dtype
		}
	}
	im.left -= len(v.ints)
	if im.left < 0 {
		return v, im.beyond("a list of %d known integers", len(v.ints))
	}
	if im.ints += len(v.ints); im.ints > maxAllInts {
		return v, fmt.Errorf("%w: more than %d integers that are known when the file is read", ErrTooLarge, maxAllInts)
	}
	low, high := limits(v.dtype)
	switch {
	case v.isInt() && isFloat(v.dtype): // folded
		return im.constantOf(v)
	case v.isInt() && (v.dtype == typeInt64 || v.dtype == typeUint64): // they wrap as Go's do
		return v, nil
	case v.isInt():
		for _, x := range v.ints {
			if float64(x) < low || float64(x) > high {
				return v, fmt.Errorf("%w: the result %d doesn't fit %s", ErrUnsupported, x, typeName(v.dtype))
			}
		}
	case im.takes == numbers && v.whole() && !slices.ContainsFunc(in, func(x value) bool { return x.index == v.index }):
		dtype := v.dtype
		var err error
		if v, err = im.add1(op.Exact{Low: float32(max(low, -op.MaxExact)), High: float32(min(high, op.MaxExact))}, v); err != nil {
			return v, err
		}
		v.dtype = dtype
	}
	return v, nil
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
		case v.none != "" && !(v.empty && (takesEmpty(n.op) || keepsEmpty(n.op) && (i == 0 || in[0].empty))):
			return nil, fmt.Errorf("%w: input %d, %q, is %s", ErrUnsupported, i, name, v.none)
		}
		in[i] = v
	}
	return in, nil
}

// nothing stands for what can't be computed with.
func nothing(why string) value { return value{index: -1, none: why} }

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

// one is the result of an operator with one output.
func one(v value, err error) ([]value, error) {
	if err != nil {
		return nil, err
	}
	return []value{v}, nil
}
