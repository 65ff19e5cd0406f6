package compile

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/op"
)

// deconv is a transposed convolution of NHWC images whose windows don't overlap: each
// row of pixels, times the filters of a row of the window, is a row of the result.
type deconv struct {
	rows                []*kernel.PackedB // of the window
	bias                []float32         // for each column of the window
	act                 kernel.Activation
	then                *pointwise
	images, h, w, c, oc int
}

func (l *deconv) run(n int, in, out [][]float32) error {
	x, y := in[0], out[0]
	for range n * l.images * l.h {
		for _, w := range l.rows {
			row := y[:l.w*w.N()]
			w.Mul(l.w, x, l.c, l.bias, kernel.Identity, row, w.N())
			if l.act != kernel.Identity { // rows of the product may be short
				l.act.Apply(row, row)
			}
			if l.then != nil {
				l.then.apply(row, row)
			}
			y = y[len(row):]
		}
		x = x[l.w*l.c:]
	}
	return nil
}

func (l *deconv) String() string {
	return fmt.Sprintf("deconv %dx%d %d to %d%s", len(l.rows), len(l.bias)/l.oc, l.c, l.oc, followed(l.act, l.then))
}

// tiles tells whether the windows of a transposed convolution cover the result, each
// place once.
func tiles(o op.Deconv2D, w []int) bool {
	return o.Groups == 1 && o.StrideH == w[2] && o.StrideW == w[3] && o.PadH == 0 && o.PadW == 0 &&
		o.OutH == 0 && o.OutW == 0 && max(o.DilH, o.DilW) <= 1
}

func (b *builder) emitDeconv(f fusion) error {
	if err := b.ready(&f); err != nil {
		return err
	}
	s := b.trace.Steps[f.step]
	x, w := b.trace.Values[s.In[0]].Spec.Shape, b.trace.Values[s.In[1]].Spec.Shape
	c, oc, kh, kw := w[0], w[1], w[2], w[3]
	l := &deconv{bias: slices.Repeat(f.bias, kw), act: f.act, then: f.then, images: x[0], h: x[2], w: x[3], c: c, oc: oc}
	for ky := range kh {
		row := make([]float32, c*kw*oc)
		for i := range row {
			o, kx, from := i%oc, i/oc%kw, i/oc/kw
			row[i] = f.w[((o*c+from)*kh+ky)*kw+kx]
		}
		p := kernel.PackB(row, c, kw*oc, false)
		l.rows = append(l.rows, p)
		b.weights += p.Bytes()
	}
	b.weights += 4 * len(l.bias)
	in := b.nhwc(f.x)
	out := b.define(f.out, value{images: x[0], c: oc, h: x[2] * kh, w: x[3] * kw, nhwc: true})
	b.instrs = append(b.instrs, instr{l, []int{in}, []int{out}, -1})
	return nil
}

// outputsFirst copies weights that are stored as inputs x outputs x the rest as outputs x
// inputs x the rest.
func outputsFirst(w []float32, shape []int) []float32 {
	in, out, rest := shape[0], shape[1], size(shape[2:])
	t := make([]float32, len(w))
	if rest == 1 {
		kernel.ToNHWC(t, w, 1, in, 1, out)
		return t
	}
	for i := range in {
		for o := range out {
			copy(t[(o*in+i)*rest:][:rest], w[(i*out+o)*rest:])
		}
	}
	return t
}
