package onnx

import "fmt"

// maxNesting bounds graphs within graphs.
const maxNesting = 8

// branch reads If: the graph that a condition, known when the file is read, chooses
// is read in its place. The other one is left alone.
func branch(im *importer, in []value) ([]value, error) {
	if !in[0].isInt() || len(in[0].ints) != 1 {
		return nil, fmt.Errorf("%w: a condition that depends on the row", ErrUnsupported)
	}
	name := "else_branch"
	if in[0].ints[0] != 0 {
		name = "then_branch"
	}
	out, err := im.inner(im.node.attrs[name].g, nil)
	if err == nil && len(out) != len(im.node.outputs) {
		err = fmt.Errorf("%w: %d results for %d outputs", ErrFormat, len(out), len(im.node.outputs))
	}
	return out, err
}

// inner reads a graph within a node, whose inputs are args. It sees the names
// outside; its own are forgotten behind it.
func (im *importer) inner(g *graphProto, args []value) ([]value, error) {
	if g == nil || len(g.inputs) != len(args) {
		return nil, fmt.Errorf("%w: it has no graph of %d inputs", ErrFormat, len(args))
	}
	node, takes := im.node, im.takes
	hidden, had := map[string]value{}, map[string]bool{}
	keep := func(name string) {
		if !had[name] {
			v, ok := im.values[name]
			if had[name] = true; ok {
				hidden[name] = v
			}
		}
	}
	defer func() {
		im.node, im.takes = node, takes
		for name := range had {
			if v, ok := hidden[name]; ok {
				im.values[name] = v
			} else {
				delete(im.values, name)
			}
		}
	}()
	for i, info := range g.inputs {
		keep(info.name)
		im.values[info.name] = args[i]
	}
	for _, t := range g.initializers {
		v, err := im.constant(t)
		if err != nil {
			return nil, err
		}
		keep(t.name)
		im.values[t.name] = v
	}
	for _, n := range g.nodes {
		for _, name := range n.outputs {
			keep(name)
		}
		im.node = n
		if err := im.read(n); err != nil {
			return nil, fmt.Errorf("%s: operator %s: %w", n.label(), n.operator(), err)
		}
	}
	var out []value
	for _, info := range g.outputs {
		v, ok := im.values[info.name]
		if !ok {
			return nil, fmt.Errorf("%w: its graph has no output %q", ErrFormat, info.name)
		}
		out = append(out, v)
	}
	return out, nil
}
