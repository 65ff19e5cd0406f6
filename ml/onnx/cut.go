package onnx

import "slices"

// cut is the file up to the values that are to be the output, where one of them is no
// output of the graph: with the nodes that lead to them alone.
func (f *File) cut(o options) *File {
	outputs := slices.Clone(f.graph.outputs)
	for _, name := range o.outputs {
		if !slices.ContainsFunc(outputs, func(v valueInfo) bool { return v.name == name }) {
			outputs = append(outputs, valueInfo{name: name})
		}
	}
	if len(outputs) == len(f.graph.outputs) {
		return f
	}
	needed := map[string]bool{}
	for _, name := range o.outputs {
		needed[name] = true
	}
	var nodes []*node
	for _, n := range slices.Backward(f.graph.nodes) {
		if !slices.ContainsFunc(n.outputs, func(name string) bool { return needed[name] }) {
			continue
		}
		nodes = append(nodes, n)
		n.reads(func(name string) { needed[name] = true })
	}
	slices.Reverse(nodes)
	// What no node writes is refused as the output that it was to be.
	outputs = slices.DeleteFunc(outputs, func(v valueInfo) bool {
		return !slices.ContainsFunc(nodes, func(n *node) bool { return slices.Contains(n.outputs, v.name) })
	})
	g, short := *f.graph, *f
	g.nodes, g.outputs, short.graph = nodes, outputs, &g
	return &short
}

// reads calls f with the names that a node reads, those that graphs within it read
// outside among them.
func (n *node) reads(f func(name string)) {
	for _, name := range n.inputs {
		if name != "" {
			f(name)
		}
	}
	for _, a := range n.attrs {
		if a.g == nil {
			continue
		}
		for _, inner := range a.g.nodes {
			inner.reads(f)
		}
		for _, v := range a.g.outputs {
			f(v.name)
		}
	}
}
