package onnx

import (
	"fmt"
	"math"
	"slices"
)

// Array is an array of numbers or truth values, as in ONNX's files of test data.
type Array struct {
	Name   string
	Type   string // ONNX's name of the element type, such as "float" or "int64"
	Shape  []int
	Values []float64 // row-major
}

// ReadArray decodes a file that holds one array (a TensorProto, *.pb), as the tests
// of ONNX and of its model zoo have for inputs and outputs.
func ReadArray(data []byte) (Array, error) {
	t := tensorProto{}
	if err := t.parse(data); err != nil {
		return Array{}, fmt.Errorf("onnx: %w", err)
	}
	a := Array{Name: t.name, Type: typeName(t.dtype)}
	var err error
	if t.float() {
		var v []float32
		v, a.Shape, err = t.float32s()
		for _, x := range v {
			a.Values = append(a.Values, float64(x))
		}
	} else {
		var v []int64
		v, a.Shape, err = t.int64s()
		for _, x := range v {
			if float64(x) >= math.MaxInt64 || int64(float64(x)) != x {
				return Array{}, fmt.Errorf("onnx: %w: array %q holds %d, which float64 can't", ErrUnsupported, t.name, x)
			}
			a.Values = append(a.Values, float64(x))
		}
	}
	if err != nil {
		return Array{}, fmt.Errorf("onnx: %w", err)
	}
	return a, nil
}

// Port is an input or output of a graph.
type Port struct {
	Name string
	Type string // ONNX's name of the element type, "undefined" for sequences, maps and optionals
	Dims []int  // 0 for an open dimension
}

// Inputs lists the graph's inputs that no weight in the file gives.
func (f *File) Inputs() []Port {
	weights := map[string]bool{}
	for _, t := range f.graph.initializers {
		weights[t.name] = true
	}
	var ports []Port
	for _, v := range f.graph.inputs {
		if !weights[v.name] {
			ports = append(ports, v.port())
		}
	}
	return ports
}

// Outputs lists the graph's outputs, which [Output] picks by their names.
func (f *File) Outputs() []Port {
	var ports []Port
	for _, v := range f.graph.outputs {
		ports = append(ports, v.port())
	}
	return ports
}

func (v valueInfo) port() Port {
	p := Port{Name: v.name, Type: typeName(v.dtype), Dims: make([]int, len(v.dims))}
	for i, d := range v.dims {
		p.Dims[i] = int(max(0, min(d.value, math.MaxInt32)))
	}
	return p
}

// Operators lists the operators of the graph's nodes, each once, with the domain if
// it isn't ONNX's own; nodes of graphs within nodes aren't looked at.
func (f *File) Operators() []string {
	var all []string
	for _, n := range f.graph.nodes {
		all = append(all, n.operator())
	}
	slices.Sort(all)
	return slices.Compact(all)
}
