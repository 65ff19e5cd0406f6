package graph

import (
	"fmt"
	"hash"
	"math/rand/v2"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/nn"
)

// identity is what all nodes' operations have in common. The number makes every
// one different from every other in its graph.
type identity struct {
	id    int
	label string
}

func (i identity) String() string        { return fmt.Sprintf("%s#%d", i.label, i.id) }
func (i identity) WriteHash(h hash.Hash) { fmt.Fprint(h, i.String()) }
func (identity) ReturnsPtr() bool        { return true }
func (identity) CallsExtern() bool       { return false }
func (identity) OverwritesInput() int    { return -1 }

// Hashcode is the number itself, which can't collide as a hash could.
func (i identity) Hashcode() uint32 { return uint32(i.id) }

// call is what the forward and backward node of one step share: the backward
// node needs what the forward run saved.
type call struct {
	op     nn.Op
	in     []nn.Spec
	out    []nn.Spec
	packed nn.Spec
	rng    *rand.Rand
	last   *nn.Call // of the latest forward run
}

// differentiable tells which inputs have gradients.
func (c *call) differentiable() []bool {
	_, ok := c.op.(nn.Differentiable)
	diff := make([]bool, len(c.in))
	for i, s := range c.in {
		diff[i] = ok && s.Dtype == tensor.Float32
	}
	return diff
}

// functionType is Gorgonia's type of a function between arrays.
func functionType(in []nn.Spec, out nn.Spec) hm.Type {
	types := make([]hm.Type, 0, len(in)+1)
	for _, s := range in {
		types = append(types, typeOf(s))
	}
	return hm.NewFnType(append(types, typeOf(out))...)
}

func typeOf(s nn.Spec) hm.Type {
	if len(s.Shape) == 0 {
		return s.Dtype
	}
	return gorgonia.TensorType{Dims: len(s.Shape), Of: s.Dtype}
}

// forward runs an operation. It is a gorgonia.SDOp.
type forward struct {
	identity
	call  *call
	newID func() int
}

func (f *forward) Arity() int    { return len(f.call.in) }
func (f *forward) Type() hm.Type { return functionType(f.call.in, f.call.packed) }

func (f *forward) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return f.call.packed.Shape.Clone(), nil
}

func (f *forward) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	in := make([]*tensor.Dense, len(values))
	for i, v := range values {
		d, err := toDense(v, f.call.in[i])
		if err != nil {
			return nil, fmt.Errorf("%s: input %d: %w", f.call.op.Name(), i, err)
		}
		in[i] = d
	}
	c, err := nn.NewCall(f.call.op, f.call.rng, in...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.call.op.Name(), err)
	}
	if err := c.Op.Forward(c); err != nil {
		return nil, fmt.Errorf("%s: %w", f.call.op.Name(), err)
	}
	f.call.last = c
	return pack(c.Out, f.call.packed), nil
}

func (f *forward) DiffWRT(int) []bool { return f.call.differentiable() }

// SymDiff makes one node that runs the operation's Backward, and cuts the
// inputs' gradients out of its result.
func (f *forward) SymDiff(inputs gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	b := &backward{identity: identity{f.newID(), "gradient of " + f.label}, call: f.call}
	for i, yes := range f.call.differentiable() {
		if yes {
			b.wanted = append(b.wanted, i)
		}
	}
	specs := make([]nn.Spec, len(b.wanted))
	for k, i := range b.wanted {
		specs[k] = f.call.in[i]
	}
	b.packed = packedSpec(specs)
	children := append(append(gorgonia.Nodes{}, inputs...), output, grad)
	node, err := gorgonia.ApplyOp(b, children...)
	if err != nil {
		return nil, err
	}
	grads := make(gorgonia.Nodes, len(inputs))
	if len(b.wanted) == 1 {
		grads[b.wanted[0]] = node
		return grads, nil
	}
	offset := 0
	for k, i := range b.wanted {
		cut := &unpack{identity: identity{f.newID(), b.label}, from: b.packed, offset: offset, to: specs[k], newID: f.newID}
		if grads[i], err = gorgonia.ApplyOp(cut, node); err != nil {
			return nil, err
		}
		offset += specs[k].Size()
	}
	return grads, nil
}

// backward computes the gradients of a call's inputs from those of its outputs.
// The inputs and the output are its children so that Gorgonia keeps their
// memory until it ran.
type backward struct {
	identity
	call   *call
	wanted []int // the inputs that have gradients
	packed nn.Spec
}

func (b *backward) Arity() int { return len(b.call.in) + 2 }

func (b *backward) Type() hm.Type {
	in := append(append([]nn.Spec{}, b.call.in...), b.call.packed, b.call.packed)
	return functionType(in, b.packed)
}

func (b *backward) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return b.packed.Shape.Clone(), nil
}

// DiffWRT says that there are no second derivatives.
func (b *backward) DiffWRT(inputs int) []bool { return make([]bool, inputs) }

func (b *backward) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return nil, fmt.Errorf("%s has no second derivative", b.label)
}

func (b *backward) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	c := b.call.last
	if c == nil {
		return nil, fmt.Errorf("%s before its forward step", b.label)
	}
	grad, err := toDense(values[len(values)-1], b.call.packed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.label, err)
	}
	c.GradOut = unpackAll(grad, b.call.out)
	c.GradIn, c.Add = make([]*tensor.Dense, len(c.In)), make([]bool, len(c.In))
	grads := make([]*tensor.Dense, len(b.wanted))
	for k, i := range b.wanted {
		s := b.call.in[i]
		grads[k] = tensor.New(tensor.WithShape(s.Shape...), tensor.WithBacking(make([]float32, s.Size())))
		c.GradIn[i] = grads[k]
	}
	if err := c.Op.(nn.Differentiable).Backward(c); err != nil {
		return nil, fmt.Errorf("%s: %w", b.label, err)
	}
	return pack(grads, b.packed), nil
}

// unpack cuts an array out of a packed vector. It is a gorgonia.SDOp.
type unpack struct {
	identity
	from   nn.Spec
	offset int
	to     nn.Spec
	newID  func() int
}

func (u *unpack) Arity() int    { return 1 }
func (u *unpack) Type() hm.Type { return functionType([]nn.Spec{u.from}, u.to) }
func (u *unpack) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return u.to.Shape.Clone(), nil
}
func (u *unpack) DiffWRT(int) []bool { return []bool{u.to.Dtype == tensor.Float32} }

func (u *unpack) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	d, err := toDense(values[0], u.from)
	if err != nil {
		return nil, err
	}
	return toValue(cut(d, u.offset, u.to)), nil
}

func (u *unpack) SymDiff(_ gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	p := &place{identity: identity{u.newID(), "place " + u.label}, from: u.to, offset: u.offset, to: u.from}
	node, err := gorgonia.ApplyOp(p, grad)
	return gorgonia.Nodes{node}, err
}

// place puts an array into a packed vector of zeros: the gradient of unpack.
type place struct {
	identity
	from   nn.Spec
	offset int
	to     nn.Spec
}

func (p *place) Arity() int    { return 1 }
func (p *place) Type() hm.Type { return functionType([]nn.Spec{p.from}, p.to) }
func (p *place) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return p.to.Shape.Clone(), nil
}
func (p *place) DiffWRT(inputs int) []bool { return make([]bool, inputs) }

func (p *place) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return nil, fmt.Errorf("%s has no second derivative", p.label)
}

func (p *place) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	d, err := toDense(values[0], p.from)
	if err != nil {
		return nil, err
	}
	out := make([]float32, p.to.Size())
	copy(out[p.offset:], nn.Floats(d))
	return tensor.New(tensor.WithShape(p.to.Shape...), tensor.WithBacking(out)), nil
}
