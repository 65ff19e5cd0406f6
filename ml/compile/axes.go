package compile

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/op"
)

// Orders of axes that need no copy element by element.

// same is a value that is read as another one.
type same struct{ order []int }

func (l *same) run(_ int, in, out [][]float32) error {
	if &out[0][0] != &in[0][0] {
		copy(out[0], in[0])
	}
	return nil
}

func (l *same) String() string { return fmt.Sprintf("axes %v", l.order) }

// turned swaps rows and columns of the matrices of each row of the batch.
type turned struct{ matrices, rows, cols int }

func (l *turned) run(n int, in, out [][]float32) error {
	kernel.ToNHWC(out[0], in[0], n*l.matrices, l.rows, l.cols, 1)
	return nil
}

func (l *turned) String() string { return fmt.Sprintf("transpose %dx%d", l.rows, l.cols) }

// channelsLast is the order of the axes of images that makes their channels innermost.
var channelsLast = []int{0, 2, 3, 1}

// lowerAxes emits an order of axes that turns the network's layout of images into the
// program's, or back, or is the transpose of matrices.
func (b *builder) lowerAxes(s graph.Step, o op.Transpose) bool {
	x, y, id := b.trace.Values[s.In[0]].Spec.Shape, b.trace.Values[s.Out[0]].Spec.Shape, b.low[b.alias[s.In[0]]]
	order := fromFront(o.Axes, len(x))
	if len(order) == 0 || id < 0 {
		return false
	}
	if b.keptNHWC(s.In[0]) {
		memory := make([]int, 4) // the axes as they lie in memory
		for i, axis := range order {
			memory[i] = slices.Index(channelsLast, axis)
		}
		if ordered([]int{x[0], x[2], x[3], x[1]}, memory) {
			b.put(s, &same{order}, value{}, 0, b.nhwc(s.In[0]))
			return true
		}
	} else if len(y) == 4 && ordered(x, []int{order[0], order[2], order[3], order[1]}) {
		b.put(s, &same{order}, value{images: y[0], c: y[1], h: y[2], w: y[3], nhwc: true}, 0, b.nchw(id))
		return true
	}
	l, ok := matrices(x, order)
	if ok {
		b.put(s, l, value{}, -1, b.nchw(id))
	}
	return ok
}

// fromFront returns axes counted from the front, where those below 0 are counted from the back.
func fromFront(axes []int, rank int) []int {
	counted := slices.Clone(axes)
	for i, axis := range counted {
		counted[i] = (axis + rank) % rank
	}
	return counted
}

// matrices tells whether an order of axes is the transpose of matrices, whose rows and
// columns may be several axes each.
func matrices(shape, order []int) (l *turned, ok bool) {
	var axes []int // without those of one element
	for _, axis := range order {
		if shape[axis] > 1 {
			axes = append(axes, axis)
		}
	}
	sorted := slices.Sorted(slices.Values(axes))
	lead := 0
	for lead < len(axes) && axes[lead] == sorted[lead] {
		lead++
	}
	if lead == len(axes) {
		return nil, false
	}
	cols := len(axes) - slices.Index(sorted, axes[lead]) // axes of a row's elements come first
	if !slices.Equal(axes[lead:lead+cols], sorted[len(axes)-cols:]) || !slices.Equal(axes[lead+cols:], sorted[lead:len(axes)-cols]) {
		return nil, false
	}
	l = &turned{1, 1, 1}
	for i, axis := range sorted {
		switch {
		case i < lead:
			l.matrices *= shape[axis]
		case i < len(axes)-cols:
			l.rows *= shape[axis]
		default:
			l.cols *= shape[axis]
		}
	}
	return l, true
}
