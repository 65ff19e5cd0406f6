package ml

import (
	"fmt"
	"slices"
)

// Named returns one of the outputs of a network that is read from an ONNX file: the first,
// or those that onnx.Output lists. Like Output it is valid during the call only.
func (r Row) Named(name string) ([]float32, error) {
	at := 0
	for _, p := range r.parts {
		n := p.Len()
		if p.Name == name {
			return r.Output[at : at+n : at+n], nil
		}
		at += n
	}
	return nil, r.without(name)
}

// Outputs returns each output of the network, in the order that onnx.Output lists them; a
// network without named ones has one. Like Output they are valid during the call only.
func (r Row) Outputs() [][]float32 {
	if len(r.parts) < 2 {
		return [][]float32{r.Output}
	}
	all, rest := make([][]float32, len(r.parts)), r.Output
	for i, p := range r.parts {
		n := p.Len()
		all[i], rest = rest[:n:n], rest[n:]
	}
	return all
}

// Shape returns the shape of an output of [Row.Named], without the batch's axis.
func (r Row) Shape(name string) ([]int, error) {
	for _, p := range r.parts {
		if p.Name == name {
			return slices.Clone(p.Shape), nil
		}
	}
	return nil, r.without(name)
}

// without says that there is no such output, and which there are.
func (r Row) without(name string) error {
	if len(r.parts) == 0 {
		return fmt.Errorf("%w: model %s has no named outputs, as those of ONNX files are; its result is Output", ErrModel, r.Model)
	}
	var names []string
	for _, p := range r.parts {
		names = append(names, p.Name)
	}
	return fmt.Errorf("%w: model %s gives no output %q, it gives %q; list those that it is to give with onnx.Output", ErrModel, r.Model, name, names)
}
