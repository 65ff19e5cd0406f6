package compile

import (
	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// slopes multiplies what is below zero by the slope of its channel.
type slopes struct {
	binary binary
	row    []float32 // for each channel, repeated
}

func (l *slopes) run(_ int, in, out [][]float32) error {
	l.binary.repeat(out[0], in[0], l.row, false)
	return nil
}

func (l *slopes) String() string { return l.binary.name }

// lowerSlopes emits a PReLU of images or matrices with constant slopes.
func (b *builder) lowerSlopes(s graph.Step) bool {
	shape := b.trace.Values[s.In[0]].Spec.Shape
	w := b.konst[s.In[1]]
	if w == nil || b.konst[s.In[0]] != nil {
		return false
	}
	var id int
	switch len(shape) {
	case 2:
		id = b.nchw(b.low[b.alias[s.In[0]]])
	case 4:
		id = b.nhwc(s.In[0])
	default:
		return false
	}
	l := &slopes{binary{s.Op.Name(), kernel.PReLU}, repeatedRow(nn.Floats(w))}
	b.put(s, l, b.like(id), 0, id)
	b.weights += 4 * len(l.row)
	return true
}
