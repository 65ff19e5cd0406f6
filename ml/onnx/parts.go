package onnx

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/compile"
)

// Part is an output of the graph in a row's result.
type Part struct {
	Name  string
	Shape []int // without the batch's axis
}

// Len returns the number of a part's elements.
func (p Part) Len() int { return elements(p.Shape) }

// Parts returns what the result of a row of m is made of, in this order: m was compiled
// from the file with the same options. With several outputs the graph is read once more.
func (f *File) Parts(m *compile.Model, opts ...Option) ([]Part, error) {
	o := newOptions(opts)
	if len(o.outputs) == 0 {
		return []Part{{f.graph.outputs[0].name, m.OutputShape()}}, nil
	}
	if len(o.outputs) == 1 {
		return []Part{{o.outputs[0], m.OutputShape()}}, nil
	}
	im := newImporter(f, o, 1, map[*tensorProto]*tensor.Dense{})
	if _, err := im.nodes(f, o, len(f.graph.nodes)); err != nil {
		return nil, fmt.Errorf("onnx: outputs: %w", err)
	}
	parts := make([]Part, len(o.outputs))
	for i, name := range o.outputs {
		v, err := im.outputNamed(f, o, name)
		if err != nil {
			return nil, fmt.Errorf("onnx: outputs: %w", err)
		}
		parts[i] = Part{name, slices.Clone(v.shape[1:])}
	}
	return parts, nil
}
