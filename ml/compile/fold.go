package compile

import (
	"fmt"
	"math"
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// builder holds a trace while it is lowered. Constants are known arrays,
// aliases are steps that do nothing, everything else becomes an instruction.
type builder struct {
	trace *graph.Trace
	konst []*tensor.Dense // for each value of the trace, nil if it depends on the input
	alias []int           // for each value, the one that it equals, itself if none
	users [][]int         // for each value after aliasing, the steps that read it, in order
	live  []bool          // for each step, whether it is neither constant nor an alias

	low     []int              // for each value of the trace, its value in the program, -1
	other   map[conversion]int // values of the program in another layout
	values  []value
	instrs  []instr
	groups  map[int]fusion // by the step at which it is emitted
	member  []bool         // steps that are part of a fusion
	hot     map[int]int    // for products of rows of zeros and a one, the numbers that these stand for
	packed  map[packing]*dense
	numbers map[uint32][]float32 // blocks of one number, by its bits
	spare   []float32            // memory of weights that have been packed

	pointGroups map[int]pointGroup // by the step at which it is emitted

	weights int
}

func newBuilder(t *graph.Trace) (*builder, error) {
	if len(t.Inputs) != 1 || len(t.Outputs) != 1 {
		return nil, fmt.Errorf("%w: it has %d inputs and %d outputs, want one of each", ErrForward, len(t.Inputs), len(t.Outputs))
	}
	in := t.Values[t.Inputs[0]].Spec
	if in.Dtype != tensor.Float32 || len(in.Shape) < 1 || in.Shape[0] != 1 {
		return nil, fmt.Errorf("%w: its input is %s, want float32 of one row, (1, ...)", ErrForward, in)
	}
	b := &builder{
		trace: t, konst: make([]*tensor.Dense, len(t.Values)), alias: make([]int, len(t.Values)),
		live: make([]bool, len(t.Steps)), low: make([]int, len(t.Values)), other: map[conversion]int{},
		groups: map[int]fusion{}, member: make([]bool, len(t.Steps)), hot: map[int]int{}, packed: map[packing]*dense{},
		numbers: map[uint32][]float32{}, pointGroups: map[int]pointGroup{},
	}
	for i, v := range t.Values {
		b.alias[i], b.low[i] = i, -1
		if v.Kind == graph.Parameter || v.Kind == graph.Constant {
			if err := checkFinite(v); err != nil {
				return nil, err
			}
			b.konst[i] = v.Data
		}
	}
	if err := b.simplify(); err != nil {
		return nil, err
	}
	return b, nil
}

// checkFinite refuses weights that hold a NaN or an infinity. Constants of a single
// number, and masks of zeros and infinities, are none.
func checkFinite(v graph.Value) error {
	if v.Kind == graph.Constant && isMask(nn.Floats(v.Data)) {
		return nil
	}
	for i, f := range nn.Floats(v.Data) {
		if math.Float32bits(f)&0x7f800000 == 0x7f800000 {
			name := v.Name
			if name == "" {
				name = v.Kind.String()
			}
			return fmt.Errorf("%w: %s %s has %v at element %d", ErrWeights, name, v.Spec, f, i)
		}
	}
	return nil
}

func isMask(v []float32) bool {
	if len(v) == 1 {
		return !math.IsNaN(float64(v[0]))
	}
	return !slices.ContainsFunc(v, func(f float32) bool { return f != 0 && !math.IsInf(float64(f), 0) })
}

// simplify evaluates the steps that depend on constants alone and finds those
// that do nothing.
func (b *builder) simplify() error {
	for i, s := range b.trace.Steps {
		if b.constant(s) {
			if err := b.evaluate(s); err != nil {
				return stepError(s.Op, s.Site, err)
			}
			continue
		}
		switch s.Op.(type) {
		case op.Dropout:
			b.alias[s.Out[0]] = b.alias[s.In[0]]
			continue
		case op.BatchNorm:
			return stepError(s.Op, s.Site, fmt.Errorf("%w: it uses the batch's own statistics; record in mode nn.Evaluate", ErrForward))
		}
		if b.stays(s) {
			b.alias[s.Out[0]] = b.alias[s.In[0]]
			continue
		}
		b.live[i] = true
	}
	b.users = make([][]int, len(b.trace.Values))
	for i, s := range b.trace.Steps {
		if !b.live[i] {
			continue
		}
		for _, v := range s.In {
			v = b.alias[v]
			if n := len(b.users[v]); n == 0 || b.users[v][n-1] != i {
				b.users[v] = append(b.users[v], i)
			}
		}
	}
	return nil
}

// stays tells whether a step leaves every element where it is in memory.
func (b *builder) stays(s graph.Step) bool {
	x, y := b.trace.Values[s.In[0]].Spec, b.trace.Values[s.Out[0]].Spec
	switch o := s.Op.(type) {
	case nn.View:
		return true
	case op.BroadcastTo:
		return x.Size() == y.Size()
	case op.Slice:
		_, count, ok := adjacent(x.Shape, o.Ranges)
		return ok && count == x.Size()
	case op.Transpose:
		return ordered(x.Shape, o.Axes)
	}
	return false
}

// ordered tells whether an order of axes moves none but those of one element.
func ordered(shape, order []int) bool {
	last := -1
	for _, axis := range fromFront(order, len(shape)) {
		if shape[axis] == 1 {
			continue
		}
		if axis < last {
			return false
		}
		last = axis
	}
	return len(order) > 0 // none is the reverse order
}

// constant tells whether a step depends on constants alone. Operations that draw
// random numbers do not occur in mode Evaluate.
func (b *builder) constant(s graph.Step) bool {
	if _, ok := s.Op.(op.Dropout); ok {
		return false
	}
	for _, v := range s.In {
		if b.konst[v] == nil {
			return false
		}
	}
	return true
}

// evaluate runs a constant step.
func (b *builder) evaluate(s graph.Step) error {
	in := make([]*tensor.Dense, len(s.In))
	for i, v := range s.In {
		in[i] = b.konst[v]
	}
	c, err := nn.NewCall(s.Op, nil, in...)
	if err != nil {
		return err
	}
	if err := s.Op.Forward(c); err != nil {
		return err
	}
	for i, v := range s.Out {
		b.konst[v] = c.Out[i]
	}
	return nil
}

// sole returns the only step that reads a value, or -1: none may be fused away
// that others, or the caller, want to see.
func (b *builder) sole(v int) int {
	v = b.alias[v]
	if len(b.users[v]) != 1 || b.alias[b.trace.Outputs[0]] == v {
		return -1
	}
	return b.users[v][0]
}
