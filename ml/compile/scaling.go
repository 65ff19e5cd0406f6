package compile

import (
	"math"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// scaling is x*scale + shift with numbers for each channel of pixels or each column: a
// batch normalisation that nothing before it takes in, with the factors, sums and the
// ReLU that follow.
type scaling struct {
	scale, shift []float32 // see forPixels
	relu         bool
}

func newScaling(c [4][]float32, eps float32) *scaling {
	l := &scaling{scale: make([]float32, len(c[0])), shift: make([]float32, len(c[0]))}
	for j := range l.scale {
		l.scale[j] = float32(float64(c[0][j]) / math.Sqrt(float64(c[3][j])+float64(eps)))
		l.shift[j] = c[1][j] - float32(c[2][j]*l.scale[j])
	}
	return l
}

func (l *scaling) run(_ int, in, out [][]float32) error {
	for x, y := in[0], out[0]; len(y) > 0; {
		n := min(len(y), len(l.scale))
		kernel.ScaleShift(y[:n], x, l.scale, l.shift, l.relu)
		x, y = x[n:], y[n:]
	}
	return nil
}

func (l *scaling) String() string {
	if l.relu {
		return "batch normalisation + ReLU"
	}
	return "batch normalisation"
}

// putScaling emits the normalisation s with what follows.
func (b *builder) putScaling(s graph.Step, l *scaling) {
	out := s.Out[0]
	for next := b.sole(out); next >= 0 && !l.relu; next = b.sole(out) {
		if b.member[next] || !b.followScaling(l, out, b.trace.Steps[next]) {
			break
		}
		b.member[next] = true
		out = b.trace.Steps[next].Out[0]
	}
	l.scale, l.shift = forPixels(l.scale), forPixels(l.shift)
	b.weights += 8 * len(l.scale)
	id := b.low[b.alias[s.In[0]]]
	if b.keptNHWC(s.In[0]) {
		id = b.nhwc(s.In[0])
	} else {
		id = b.nchw(id)
	}
	b.instrs = append(b.instrs, instr{l, []int{id}, []int{b.define(out, b.like(id))}, 0})
}

// followScaling takes a step that reads value v into the scaling if it can.
func (b *builder) followScaling(l *scaling, v int, s graph.Step) bool {
	made, result := b.trace.Values[v].Spec, b.trace.Values[s.Out[0]].Spec
	if _, ok := s.Op.(op.ReLU); ok {
		l.relu = true
		return true
	}
	if len(s.In) != 2 || !made.Equal(result) {
		return false
	}
	c := b.konst[s.In[0]]
	if c == nil {
		c = b.konst[s.In[1]]
	}
	channels := fusion{bias: l.shift}
	if c == nil || !channels.perOutput(c, made, result, len(made.Shape) > 2) {
		return false
	}
	switch k := nn.Floats(c); s.Op.(type) {
	case op.Mul:
		kernel.Mul(l.scale, l.scale, k)
		kernel.Mul(l.shift, l.shift, k)
	case op.Add:
		kernel.Add(l.shift, l.shift, k)
	default:
		return false
	}
	return true
}
