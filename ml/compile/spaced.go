package compile

import (
	"cmp"
	"slices"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
)

// spaced layers take images whose pixels don't lie side by side, see parts.go.
type spaced interface {
	layer
	// spaced returns the layer for images whose pixels lie so many elements apart, those
	// of its inputs and of its result, 0 for side by side; c are the channels of its first
	// input. It is called once at most, before the layer is shared: what it returns is
	// the layer, changed, or another one in its place.
	spaced(c int, in []int, out int) layer
}

// maxSpaced bounds the channels of images whose pixels lie apart.
const maxSpaced = maxTemporaries * pointBlock

// inPlace stands for a layer whose result is part of its input, or made of it.
type inPlace struct{ layer }

func (l *inPlace) run(int, [][]float32, [][]float32) error { return nil }
func (l *inPlace) String() string                          { return l.layer.String() + " in place" }

func (l *inPlace) spaced(int, []int, int) layer { return l }

func (l *conv) spaced(_ int, in []int, out int) layer {
	l.w.Apart(cmp.Or(in[0], l.shape.C), cmp.Or(out, l.shape.OC))
	return l
}

func (l *pool2D) spaced(_ int, in []int, out int) layer {
	l.ldx, l.ldy = cmp.Or(in[0], l.shape.C), cmp.Or(out, l.shape.C)
	return l
}

func (l *concat) spaced(_ int, in []int, out int) layer {
	for j, ld := range in {
		l.ldx[j] = cmp.Or(ld, l.sizes[j])
	}
	l.ldy = cmp.Or(out, l.ldy)
	if !slices.Contains(l.placed, false) {
		return &inPlace{l}
	}
	return l
}

func (l *channelCut) spaced(_ int, in []int, out int) layer {
	l.ldx, l.ldy = cmp.Or(in[0], l.ldx), cmp.Or(out, l.ldy)
	return l
}

// spacedTake is a take of whole pixels of c channels.
type spacedTake struct {
	*take
	c, ldx, ldy int
}

func (l *take) spaced(c int, in []int, out int) layer {
	return &spacedTake{l, c, cmp.Or(in[0], c), cmp.Or(out, c)}
}

func (l *spacedTake) run(n int, in, out [][]float32) error {
	pixels, y := l.inner/l.c, 0
	for i := range n * l.outer {
		for _, k := range l.index {
			x := (i*l.size + int(k)) * pixels
			kernel.MovePixels(out[0][y*l.ldy:], l.ldy, in[0][x*l.ldx:], l.ldx, l.c, pixels)
			y += pixels
		}
	}
	return nil
}

// spacedUnary is a function of the elements of images of c channels.
type spacedUnary struct {
	layer
	f           func(y, x []float32)
	c, ldx, ldy int
}

func (l *unary) spaced(c int, in []int, out int) layer {
	return &spacedUnary{l, l.f, c, cmp.Or(in[0], c), cmp.Or(out, c)}
}

func (l *pointwise) spaced(c int, in []int, out int) layer {
	return &spacedUnary{l, l.apply, c, cmp.Or(in[0], c), cmp.Or(out, c)}
}

// run works on pixels side by side, a block at a time.
func (l *spacedUnary) run(_ int, in, out [][]float32) error {
	temps := blocks.Get().(*[maxSpaced]float32)
	defer blocks.Put(temps)
	n, block := kernel.PixelCount(in[0], l.ldx), max(pointBlock/l.c, 1)
	for at := 0; at < n; at += block {
		k := min(block, n-at)
		x, y := in[0][at*l.ldx:], out[0][at*l.ldy:]
		buf := temps[:k*l.c]
		if l.ldy == l.c {
			buf = y[:k*l.c]
		}
		kernel.MovePixels(buf, l.c, x, l.ldx, l.c, k)
		l.f(buf, buf)
		if l.ldy != l.c {
			kernel.MovePixels(y, l.ldy, buf, l.c, l.c, k)
		}
	}
	return nil
}

// spacedBinary is a function of the elements of two images of c channels, a pixel at a
// time.
type spacedBinary struct {
	*binary
	c, lda, ldb, ldy int
}

func (l *binary) spaced(c int, in []int, out int) layer {
	return &spacedBinary{l, c, cmp.Or(in[0], c), cmp.Or(in[1], c), cmp.Or(out, c)}
}

func (l *spacedBinary) run(_ int, in, out [][]float32) error {
	for i := range kernel.PixelCount(out[0], l.ldy) {
		l.f(out[0][i*l.ldy:][:l.c], in[0][i*l.lda:][:l.c], in[1][i*l.ldb:][:l.c])
	}
	return nil
}
