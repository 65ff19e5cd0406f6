package compile

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/op"
)

// responseNorm is a local response normalisation with the exponent 3/4.
type responseNorm struct {
	op       op.LocalResponseNorm
	channels int
}

func (l *responseNorm) run(_ int, in, out [][]float32) error {
	kernel.ResponseNorm(out[0], in[0], l.channels, l.op.N/2, l.op.K, l.op.Alpha)
	return nil
}

func (l *responseNorm) String() string {
	return fmt.Sprintf("local response normalisation over %d", l.op.N/2*2+1)
}

// lowerResponse emits a normalisation of images; one with another exponent runs row
// by row.
func (b *builder) lowerResponse(s graph.Step, o op.LocalResponseNorm) bool {
	shape := b.trace.Values[s.In[0]].Spec.Shape
	if len(shape) != 4 || o.Beta != 0.75 || b.konst[s.In[0]] != nil {
		return false
	}
	id := b.nhwc(s.In[0])
	b.put(s, &responseNorm{o, shape[1]}, b.like(id), 0, id)
	return true
}
