package onnx

import "fmt"

// checkNames refuses names that are written twice: ONNX wants each value to come
// from one place. An input may have an initializer, which is its default.
func (g *graphProto) checkNames() error {
	weights, written := map[string]bool{}, map[string]bool{}
	for _, t := range g.initializers {
		if t.name == "" || weights[t.name] {
			return fmt.Errorf("%w: two arrays have the name %q, or it is empty", ErrFormat, t.name)
		}
		weights[t.name] = true
	}
	for _, v := range g.inputs {
		if v.name == "" || written[v.name] {
			return fmt.Errorf("%w: two inputs have the name %q, or it is empty", ErrFormat, v.name)
		}
		written[v.name] = true
	}
	for _, n := range g.nodes {
		for _, name := range n.outputs {
			if name == "" { // left out
				continue
			}
			if written[name] || weights[name] {
				return fmt.Errorf("%w: %s: operator %s: it writes %q, which an input, an array or another node gives", ErrFormat, n.label(), n.operator(), name)
			}
			written[name] = true
		}
	}
	return nil
}
