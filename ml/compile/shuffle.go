package compile

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/op"
)

// shuffle takes the channels of every pixel, groups of size, in turn from each group.
type shuffle struct{ groups, size int }

func (l *shuffle) run(_ int, in, out [][]float32) error {
	kernel.ToNHWC(out[0], in[0], len(in[0])/(l.groups*l.size), l.groups, l.size, 1)
	return nil
}

func (l *shuffle) String() string { return fmt.Sprintf("shuffle of %d groups", l.groups) }

// lowerShuffle emits a shuffle of the channels of images, (N, g, C/g, H, W) to
// (N, C/g, g, H, W).
func (b *builder) lowerShuffle(s graph.Step, o op.Transpose) bool {
	x := b.trace.Values[s.In[0]].Spec.Shape
	id := b.low[b.alias[s.In[0]]]
	if id < 0 || len(x) != 5 || !slices.Equal(o.Axes, []int{0, 2, 1, 3, 4}) {
		return false
	}
	v := b.values[id]
	if !v.nhwc || v.images != x[0] || v.c != x[1]*x[2] || v.h != x[3] || v.w != x[4] {
		return false
	}
	b.put(s, &shuffle{x[1], x[2]}, b.like(id), -1, id)
	return true
}
