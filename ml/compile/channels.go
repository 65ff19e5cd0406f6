package compile

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/op"
)

// What networks do with the channels of images, which lie side by side.

// perChannel is an elementwise function of images and of a number for each channel of
// each image, as behind squeeze and excitation.
type perChannel struct {
	binary
	images, pixels, c int
	reverse           bool // the numbers are the left operand
}

func (l *perChannel) run(n int, in, out [][]float32) error {
	temps := blocks.Get().(*[maxTemporaries * pointBlock]float32)
	defer blocks.Put(temps)
	size := l.pixels * l.c
	for i := range n * l.images {
		row := repetitions(temps[:pointBlock], in[1][i*l.c:(i+1)*l.c])
		l.repeat(out[0][i*size:(i+1)*size], in[0][i*size:(i+1)*size], row, l.reverse)
	}
	return nil
}

func (l *perChannel) String() string { return l.name + " per channel" }

// repetitions fills buf with as many repetitions of row as it holds, or is row.
func repetitions(buf, row []float32) []float32 {
	if 2*len(row) > len(buf) {
		return row
	}
	n := 0
	for n+len(row) <= len(buf) {
		n += copy(buf[n:], row)
	}
	return buf[:n]
}

// shortened returns the row, or if it repeats its first c elements a few repetitions.
func shortened(row []float32, c int) []float32 {
	for i, v := range row[c:] {
		if v != row[i] {
			return row
		}
	}
	return slices.Clone(repetitions(make([]float32, pointBlock), row[:c]))
}

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
