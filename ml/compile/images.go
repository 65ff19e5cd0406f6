package compile

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// Layers that know the channels of images and work pixel by pixel, NHWC.

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

// slopes multiplies what is below zero by the slope of its channel.
type slopes struct {
	row []float32 // see forPixels
}

func (l *slopes) run(_ int, in, out [][]float32) error {
	for x, y := in[0], out[0]; len(y) > 0; {
		n := min(len(y), len(l.row))
		kernel.PReLU(y[:n], x, l.row)
		x, y = x[n:], y[n:]
	}
	return nil
}

func (l *slopes) String() string { return "PReLU" }

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
	l := &slopes{forPixels(nn.Floats(w))}
	b.put(s, l, b.like(id), 0, id)
	b.weights += 4 * len(l.row)
	return true
}

// pixelsRow is the least length of a row of forPixels.
const pixelsRow = 256

// forPixels repeats a number for each channel until it makes whole vectors.
func forPixels(channels []float32) []float32 {
	repeat := (pixelsRow + len(channels) - 1) / len(channels)
	for repeat*len(channels)%16 != 0 {
		repeat++
	}
	return slices.Repeat(channels, repeat)
}

// channelCut takes adjacent channels of each pixel.
type channelCut struct{ channels, from, count int }

func (l *channelCut) run(_ int, in, out [][]float32) error {
	x := in[0][l.from:]
	for y := out[0]; len(y) > 0; y = y[l.count:] {
		copy(y[:l.count], x)
		x = x[min(l.channels, len(x)):]
	}
	return nil
}

func (l *channelCut) String() string {
	return fmt.Sprintf("channels %d to %d", l.from, l.from+l.count-1)
}

// keptNHWC tells whether a value of the trace, images by its shape, is kept NHWC.
func (b *builder) keptNHWC(v int) bool {
	return len(b.trace.Values[v].Spec.Shape) == 4 && b.values[b.low[b.alias[v]]].nhwc
}

// putChannels emits value v as some of x's channels.
func (b *builder) putChannels(x, v, from, count int) {
	s, id := b.trace.Values[x].Spec.Shape, b.nhwc(x)
	out := b.define(v, value{images: s[0], c: count, h: s[2], w: s[3], nhwc: true})
	b.instrs = append(b.instrs, instr{&channelCut{s[1], from, count}, []int{id}, []int{out}, -1})
}
