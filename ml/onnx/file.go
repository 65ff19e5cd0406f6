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
}

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

// Read decodes a file, which must not be changed afterwards. The graph's inputs
// and operators are checked by Trace.
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
	if err := m.graph.checkNames(); err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	return &File{Producer: m.producer, Opset: int(m.opset), graph: m.graph}, nil
}

// Trace turns the graph into operations on one row. Nodes that don't lead to the
// output are left out, but checked.
func (f *File) Trace(opts ...Option) (*graph.Trace, error) {
	t, err := f.trace(newOptions(opts))
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	return t, nil
}
