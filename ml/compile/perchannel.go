package compile

import (
	"slices"

	"github.com/hibana-engine/hibana/ml/graph"
)

// perChannel is an elementwise function of images and of a number for each channel of
// each image, as behind squeeze and excitation.
type perChannel struct {
	binary            binary
	images, pixels, c int
	reverse           bool // the numbers are the left operand
}

func (l *perChannel) run(n int, in, out [][]float32) error {
	temps := blocks.Get().(*[maxTemporaries * pointBlock]float32)
	defer blocks.Put(temps)
	size := l.pixels * l.c
	for i := range n * l.images {
		row := repetitions(temps[:pointBlock], in[1][i*l.c:(i+1)*l.c])
		l.binary.repeat(out[0][i*size:(i+1)*size], in[0][i*size:(i+1)*size], row, l.reverse)
	}
	return nil
}

func (l *perChannel) String() string { return l.binary.name + " per channel" }

// lowerPerChannel emits a step of images (N, C, H, W) and of (N, C, 1, 1).
func (b *builder) lowerPerChannel(s graph.Step, f func(y, a, c []float32)) bool {
	x, row := s.In[0], s.In[1]
	out := b.trace.Values[s.Out[0]].Spec
	reverse := !b.trace.Values[x].Spec.Equal(out)
	if reverse {
		x, row = row, x
	}
	spec, numbers := b.trace.Values[x].Spec, b.trace.Values[row].Spec.Shape
	shape := spec.Shape
	if !spec.Equal(out) || len(shape) != 4 || !slices.Equal(numbers, []int{shape[0], shape[1], 1, 1}) {
		return false
	}
	l := &perChannel{binary{s.Op.Name(), f}, shape[0], shape[2] * shape[3], shape[1], reverse}
	id := b.nhwc(x)
	b.put(s, l, b.like(id), 0, id, b.nchw(b.low[b.alias[row]]))
	return true
}
