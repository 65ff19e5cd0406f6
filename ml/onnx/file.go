package onnx

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/graph"
)

// The operator sets that are read.
const (
	MinOpset = 11
	MaxOpset = 20
)

// File is a decoded ONNX file. It keeps the file's bytes.
type File struct {
	Producer string // the program that wrote the file
	Opset    int

	graph *graphProto
	input valueInfo
}

// Option changes how a file is read.
type Option func(*options)

type options struct {
	dims        map[string]int
	maxElements int
}

// Dim fixes an open dimension, such as "height", of the graph's input. The batch
// dimension needs none.
func Dim(name string, size int) Option { return func(o *options) { o.dims[name] = size } }

// MaxElements bounds the elements of all arrays of the graph together, for one
// row: weights, what is computed from them, and activations (default 2^28, 1 GiB).
func MaxElements(n int) Option { return func(o *options) { o.maxElements = n } }

// Compile reads a file and compiles its graph for inference.
func Compile(data []byte, opts ...Option) (*compile.Model, error) {
	f, err := Read(data)
	if err != nil {
		return nil, err
	}
	t, err := f.Trace(opts...)
	if err != nil {
		return nil, err
	}
	m, err := compile.Trace(t)
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	return m, nil
}

// Read decodes a file, which must not be changed afterwards. The graph's
// operators are checked by Trace.
func Read(data []byte) (*File, error) {
	m := modelProto{}
	if err := m.parse(data); err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	if m.graph == nil || len(m.graph.nodes) == 0 {
		return nil, fmt.Errorf("onnx: %w: it holds no graph", ErrFormat)
	}
	if m.opset < MinOpset || m.opset > MaxOpset {
		return nil, fmt.Errorf("onnx: %w: the file uses opset %d, opsets %d to %d are read", ErrOpset, m.opset, MinOpset, MaxOpset)
	}
	f := &File{Producer: m.producer, Opset: int(m.opset), graph: m.graph}
	if err := f.findInput(); err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	return f, nil
}

// findInput finds the one input that no initializer gives.
func (f *File) findInput() error {
	given := map[string]bool{}
	for _, t := range f.graph.initializers {
		given[t.name] = true
	}
	var names []string
	for _, v := range f.graph.inputs {
		if !given[v.name] {
			names = append(names, v.name)
			f.input = v
		}
	}
	if len(names) != 1 {
		return fmt.Errorf("%w: the graph has the inputs %q, want one", ErrInput, names)
	}
	if len(f.graph.outputs) == 0 {
		return fmt.Errorf("%w: the graph has no output", ErrInput)
	}
	if f.input.dtype != typeFloat {
		return fmt.Errorf("%w: input %q has elements of type %d, want float32 (1)", ErrInput, f.input.name, f.input.dtype)
	}
	if !f.input.known || len(f.input.dims) == 0 || len(f.input.dims) > maxRank {
		return fmt.Errorf("%w: input %q has no shape whose first dimension is the batch", ErrInput, f.input.name)
	}
	return nil
}

// inputShape is the input's shape for one row.
func (f *File) inputShape(o options) ([]int, error) {
	shape := make([]int, len(f.input.dims))
	shape[0] = 1
	for i, d := range f.input.dims[1:] {
		n := d.value
		if v, ok := o.dims[d.name]; ok && n == 0 {
			n = int64(v)
		}
		if n < 1 || n > 1<<31-1 {
			return nil, fmt.Errorf("%w: dimension %d (%q) of input %q is open; give it with onnx.Dim", ErrInput, i+1, d.name, f.input.name)
		}
		shape[i+1] = int(n)
	}
	return shape, nil
}

// Trace turns the graph into operations on one row. Nodes that don't lead to the
// first output are left out, but checked.
func (f *File) Trace(opts ...Option) (*graph.Trace, error) {
	o := options{dims: map[string]int{}, maxElements: 1 << 28}
	for _, opt := range opts {
		opt(&o)
	}
	t, err := f.trace(o)
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	return t, nil
}
