package compile

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
)

// channelCut takes adjacent channels of each pixel.
type channelCut struct {
	from, count int
	ldx, ldy    int // from a pixel to the next
}

func (l *channelCut) run(_ int, in, out [][]float32) error {
	kernel.MovePixels(out[0], l.ldy, in[0][l.from:], l.ldx, l.count, kernel.PixelCount(out[0], l.ldy))
	return nil
}

func (l *channelCut) String() string {
	return fmt.Sprintf("channels %d to %d", l.from, l.from+l.count-1)
}

// putChannels emits value v as some of x's channels.
func (b *builder) putChannels(x, v, from, count int) {
	s, id := b.trace.Values[x].Spec.Shape, b.nhwc(x)
	out := b.define(v, value{images: s[0], c: count, h: s[2], w: s[3], nhwc: true})
	b.instrs = append(b.instrs, instr{&channelCut{from, count, s[1], count}, []int{id}, []int{out}, -1})
}
