package graph

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/nn"
)

// Graph is a trace as a Gorgonia expression graph. Its nodes can be mixed with
// Gorgonia's own operations, differentiated by gorgonia.Grad and run by a
// gorgonia.TapeMachine (not by a LispMachine, which needs gorgonia.ADOp).
//
// The arrays of parameters and constants are shared with the network that was
// traced, but not the headers around them, so several graphs of one network may
// run at the same time as long as nobody trains it. Building is not safe for
// concurrent use: Gorgonia's constructors share package-level state.
type Graph struct {
	Expr    *gorgonia.ExprGraph
	Nodes   gorgonia.Nodes // one for each of the trace's values
	Inputs  gorgonia.Nodes // set their values with gorgonia.Let
	Params  gorgonia.Nodes // in the order of Trace.Params
	Outputs gorgonia.Nodes
}

// Build makes the graph. The seed is for operations that draw random numbers.
func Build(t *Trace, seed uint64) (g *Graph, err error) {
	defer func() { // Gorgonia's constructors panic on what they can't represent
		if r := recover(); r != nil {
			g, err = nil, fmt.Errorf("building a Gorgonia graph: %v", r)
		}
	}()
	b := &exprBuilder{
		trace: t, seed: seed,
		graph: &Graph{Expr: gorgonia.NewGraph(), Nodes: make(gorgonia.Nodes, len(t.Values))},
	}
	for i, v := range t.Values {
		if v.Kind != Computed {
			b.graph.Nodes[i] = b.leaf(i, v)
		}
	}
	for i := range t.Steps {
		if err := b.step(&t.Steps[i]); err != nil {
			return nil, fmt.Errorf("building a Gorgonia graph: %s: %w", t.Steps[i].Op.Name(), err)
		}
	}
	b.collect()
	return b.graph, nil
}

type exprBuilder struct {
	trace *Trace
	graph *Graph
	seed  uint64
	ids   int
}

// newID numbers the operations of a graph. The number is part of each one's
// hash: Gorgonia merges nodes whose hashes are equal, and two calls are never
// to be merged.
func (b *exprBuilder) newID() int {
	b.ids++
	return b.ids
}

// leaf makes the node of an array that no step computes.
func (b *exprBuilder) leaf(i int, v Value) *gorgonia.Node {
	name := gorgonia.WithName(fmt.Sprintf("v%d %s", i, v.Name))
	options := []gorgonia.NodeConsOpt{name}
	if v.Data != nil {
		options = append(options, gorgonia.WithValue(toValue(header(v.Data))))
	}
	if len(v.Spec.Shape) == 0 {
		return gorgonia.NewScalar(b.graph.Expr, v.Spec.Dtype, options...)
	}
	options = append(options, gorgonia.WithShape(v.Spec.Shape...))
	return gorgonia.NewTensor(b.graph.Expr, v.Spec.Dtype, len(v.Spec.Shape), options...)
}

// step makes the nodes of one operation: a single output is the operation's own
// node; several are packed into one vector, from which a node each is cut.
func (b *exprBuilder) step(s *Step) error {
	c := &call{op: s.Op, rng: rand.New(rand.NewPCG(b.seed, uint64(b.ids)))}
	children := make(gorgonia.Nodes, len(s.In))
	for i, v := range s.In {
		children[i] = b.graph.Nodes[v]
		c.in = append(c.in, b.trace.Values[v].Spec)
	}
	for _, v := range s.Out {
		c.out = append(c.out, b.trace.Values[v].Spec)
	}
	c.packed = packedSpec(c.out)
	node, err := gorgonia.ApplyOp(&forward{identity: b.identity(s.Op), call: c, newID: b.newID}, children...)
	if err != nil {
		return err
	}
	if len(s.Out) == 1 {
		b.graph.Nodes[s.Out[0]] = node
		return nil
	}
	offset := 0
	for i, v := range s.Out {
		cut := &unpack{identity: b.identity(s.Op), from: c.packed, offset: offset, to: c.out[i], newID: b.newID}
		if b.graph.Nodes[v], err = gorgonia.ApplyOp(cut, node); err != nil {
			return err
		}
		offset += c.out[i].Size()
	}
	return nil
}

func (b *exprBuilder) identity(op nn.Op) identity {
	return identity{id: b.newID(), label: fmt.Sprintf("%s%+v", op.Name(), op)}
}

// collect fills the graph's lists.
func (b *exprBuilder) collect() {
	for i, v := range b.trace.Values {
		if v.Kind == Parameter {
			b.graph.Params = append(b.graph.Params, b.graph.Nodes[i])
		}
	}
	for _, i := range b.trace.Inputs {
		b.graph.Inputs = append(b.graph.Inputs, b.graph.Nodes[i])
	}
	for _, i := range b.trace.Outputs {
		b.graph.Outputs = append(b.graph.Outputs, b.graph.Nodes[i])
	}
}

// packedSpec is the spec of an operation's node: its output's, or that of a
// vector of all outputs.
func packedSpec(out []nn.Spec) nn.Spec {
	if len(out) == 1 {
		return out[0]
	}
	n := 0
	for _, s := range out {
		n += s.Size()
	}
	return nn.Spec{Shape: tensor.Shape{n}, Dtype: out[0].Dtype}
}

// header makes another header over an array's memory: two machines never share
// one, because Gorgonia writes to headers.
func header(a *tensor.Dense) *tensor.Dense {
	return tensor.New(tensor.WithShape(slices.Clone(a.Shape())...), tensor.WithBacking(backing(a)))
}

// backing returns an array's memory as a slice, for a scalar too.
func backing(a *tensor.Dense) any {
	switch a.Dtype() {
	case tensor.Float32:
		return nn.Floats(a)
	case tensor.Int32:
		return nn.Ints(a)
	default:
		return nn.Bools(a)
	}
}

// toValue turns a scalar array into what Gorgonia expects of scalars.
func toValue(a *tensor.Dense) gorgonia.Value {
	if len(a.Shape()) > 0 {
		return a
	}
	switch a.Dtype() {
	case tensor.Float32:
		return gorgonia.NewF32(nn.Floats(a)[0])
	case tensor.Int32:
		return gorgonia.NewI32(nn.Ints(a)[0])
	default:
		return gorgonia.NewB(nn.Bools(a)[0])
	}
}

// toDense turns what Gorgonia passes into an array and checks that it is of the
// kind that the trace was recorded with.
func toDense(v gorgonia.Value, want nn.Spec) (*tensor.Dense, error) {
	var d *tensor.Dense
	switch v := v.(type) {
	case *tensor.Dense:
		d = v
	case *gorgonia.F32:
		d = tensor.New(tensor.WithShape(), tensor.WithBacking([]float32{float32(*v)}))
	case *gorgonia.I32:
		d = tensor.New(tensor.WithShape(), tensor.WithBacking([]int32{int32(*v)}))
	case *gorgonia.B:
		d = tensor.New(tensor.WithShape(), tensor.WithBacking([]bool{bool(*v)}))
	default:
		return nil, nn.ShapeErrorf("value of type %T", v)
	}
	if got := nn.SpecOf(d); !got.Equal(want) && !(got.Size() == 1 && want.Size() == 1 && got.Dtype == want.Dtype) {
		return nil, nn.ShapeErrorf("the graph was traced with %v, got %v", want, got)
	}
	if d.RequiresIterator() || !slices.Equal(d.Shape(), want.Shape) {
		m, ok := d.Materialize().(*tensor.Dense)
		if !ok {
			return nil, nn.ShapeErrorf("value %v is not an array", nn.SpecOf(d))
		}
		d = tensor.New(tensor.WithShape(want.Shape...), tensor.WithBacking(backing(m)))
	}
	return d, nil
}
