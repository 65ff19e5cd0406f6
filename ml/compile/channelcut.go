package compile

import "fmt"

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

// putChannels emits value v as some of x's channels.
func (b *builder) putChannels(x, v, from, count int) {
	s, id := b.trace.Values[x].Spec.Shape, b.nhwc(x)
	out := b.define(v, value{images: s[0], c: count, h: s[2], w: s[3], nhwc: true})
	b.instrs = append(b.instrs, instr{&channelCut{s[1], from, count}, []int{id}, []int{out}, -1})
}
