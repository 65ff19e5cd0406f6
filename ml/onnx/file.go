package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/nn"
)

// The operator sets that are read.
const (
	MinOpset = 6
	MaxOpset = 28
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
	return f.Compile(opts...)
}

// Compile compiles the graph for inference.
func (f *File) Compile(opts ...Option) (*compile.Model, error) {
	m, err := f.compile(newOptions(opts))
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	return m, nil
}

// compile reads the graph for one row, and for two to see that it keeps them apart.
func (f *File) compile(o options) (*compile.Model, error) {
	f = f.cut(o)
	arrays := map[*tensorProto]*tensor.Dense{}
	one, err := f.trace(o, 1, arrays)
	if err != nil {
		return nil, err
	}
	if o.whole {
		return compile.Whole(one)
	}
	return compile.Recorded(func(rows int) (*graph.Trace, error) {
		if rows == 1 {
			return one, nil
		}
		batch := f.fileBatch(o)
		if batch == 1 {
			return nil, nil
		}
		t, err := f.trace(o, rows, arrays)
		if batch == 0 && (errors.Is(err, nn.ErrShape) || errors.Is(err, ErrFormat)) {
			return nil, nil // valid for one row alone
		}
		return t, err
	})
}

// fileBatch is the number of rows that the file takes, 0 if any.
func (f *File) fileBatch(o options) int64 {
	row, _, _, err := f.split(o)
	if err != nil || o.batch >= len(row.dims) {
		return 0
	}
	return row.dims[o.batch].value
}

// Read decodes a file, which must not be changed afterwards. The graph's inputs
// and operators are checked by Trace.
func Read(data []byte) (*File, error) {
	m := modelProto{}
	if err := m.parse(data); err != nil {
		return nil, fmt.Errorf("onnx: %w", unread(data, err))
	}
	if m.graph == nil || len(m.graph.nodes) == 0 {
		return nil, fmt.Errorf("onnx: %w", unread(data, fmt.Errorf("%w: it holds no graph", ErrFormat)))
	}
	if m.opset < MinOpset || m.opset > MaxOpset {
		return nil, fmt.Errorf("onnx: %w: %s%s", ErrOpset, m.uses(), alsoWrong(m.graph.nodes, -1, everKnown))
	}
	if err := m.graph.checkNames(); err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	return &File{Producer: m.producer, Opset: int(m.opset), graph: m.graph}, nil
}

// uses says which opset a file uses.
func (m *modelProto) uses() string {
	if m.opset == 0 { // it has operators of other domains, or is from before there were opsets
		return "the file names no opset of ONNX's own domain"
	}
	return fmt.Sprintf("the file uses opset %d, opsets %d to %d are read", m.opset, MinOpset, MaxOpset)
}

// everKnown refuses operators that are known in no opset.
func everKnown(n *node) error {
	if _, ok := operators[n.operator()]; !ok {
		return ErrOperator
	}
	return nil
}

// unread explains an error of decoding a file by what the bytes look like. An ONNX file
// begins with its ir_version, field 1 of ModelProto.
func unread(data []byte, err error) error {
	const irVersion = 1<<3 | byte(protowire.VarintType)
	switch {
	case bytes.HasPrefix(data, []byte("version https://git-lfs")):
		return fmt.Errorf("this is a pointer of Git LFS: fetch the file itself, with git lfs pull: %w", err)
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return fmt.Errorf("this doesn't look like an ONNX file but like a zip archive, which torch.save and Keras write: export the network as ONNX: %w", err)
	case len(data) > 0 && data[0] != irVersion:
		return fmt.Errorf("this doesn't look like an ONNX file: %w", err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w; is it whole? It has %d bytes", err, len(data))
	}
	return err
}

// Trace turns the graph into operations on one row. Nodes that don't lead to the
// output are left out, but checked, unless [Output] ends the graph before them.
func (f *File) Trace(opts ...Option) (*graph.Trace, error) {
	o := newOptions(opts)
	t, err := f.cut(o).trace(o, 1, map[*tensorProto]*tensor.Dense{})
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	return t, nil
}
