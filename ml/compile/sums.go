package compile

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/op"
)

// sums adds up along an axis, or several side by side, and scales the result.
type sums struct {
	outer, axis, inner int // elements before, of and behind the axis, for each row
	scale              float32
}

func (l *sums) run(n int, in, out [][]float32) error {
	x, y, k := in[0], out[0], l.axis*l.inner
	for i := range n * l.outer {
		if l.inner == 1 {
			y[i] = kernel.Sum(x[i*k : (i+1)*k])
		} else {
			kernel.SumRows(y[i*l.inner:(i+1)*l.inner], x[i*k:(i+1)*k], l.axis, l.inner)
		}
	}
	if l.scale != 1 {
		kernel.Scale(y, l.scale)
	}
	return nil
}

func (l *sums) String() string { return fmt.Sprintf("sums of %d", l.axis) }

// lowerSums emits a sum or mean.
func (b *builder) lowerSums(s graph.Step, over op.Axes, mean bool) bool {
	x := b.trace.Values[s.In[0]].Spec.Shape
	from, until, ok := sideBySide(over.Over, len(x))
	if !ok {
		return false
	}
	l := &sums{size(x[:from]), size(x[from:until]), size(x[until:]), 1}
	if mean {
		l.scale = 1 / float32(l.axis)
	}
	b.put(s, l, value{}, -1, b.nchw(b.low[b.alias[s.In[0]]]))
	return true
}

// sideBySide returns the range of axes that a list of them is, all if there is none.
func sideBySide(list []int, rank int) (from, until int, ok bool) {
	if len(list) == 0 {
		return 0, rank, true
	}
	axes := fromFront(list, rank)
	slices.Sort(axes)
	from, until = axes[0], axes[len(axes)-1]+1
	return from, until, until-from == len(axes)
}
