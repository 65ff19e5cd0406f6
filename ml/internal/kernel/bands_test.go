package kernel

import (
	"fmt"
	"testing"
)

// Images that are padded band by band give what those that are padded as a whole give,
// to the last bit.
func TestPaddedBands(t *testing.T) {
	r := random(t)
	for _, l := range levels()[1:] {
		for _, s := range []ConvShape{
			{N: 2, C: 32, H: 70, W: 66, OC: 20, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1},
			{N: 1, C: 24, H: 81, W: 80, OC: 34, KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadH: 2, PadW: 0},
			{N: 1, C: 32, H: 75, W: 64, OC: 8, KH: 3, KW: 1, StrideH: 1, StrideW: 2, PadH: 3, PadW: 2, DilH: 3, Groups: 2},
			{N: 1, C: 4, H: 5, W: 9000, OC: 16, KH: 5, KW: 3, StrideH: 1, StrideW: 1, PadH: 2, PadW: 1},
			{N: 1, C: 300, H: 100, W: 3, OC: 16, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1},
		} {
			what := fmt.Sprintf("%s: %+v", l, s)
			p := planConv(s)
			x, w, bias := normal(r, s.N*p.in()), normal(r, s.OC*p.k), normal(r, s.OC)
			want, got, back := make([]float32, s.N*s.OC*p.out), make([]float32, s.N*s.OC*p.out), make([]float32, s.N*s.OC*p.out)
			conv2D(l, s, x, w, bias, want)
			pc, err := PackConv(s, w, bias, Identity, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !pc.padsBands(l) {
				t.Fatalf("%s is padded as a whole", what)
			}
			pc.Then(func(y []float32) { affine(l, y, y, 2, 1) })
			affine(l, want, want, 2, 1)
			nhwc := make([]float32, len(x))
			ToNHWC(nhwc, x, s.N, s.C, s.H, s.W)
			pc.run(l, s.N, nhwc, got, 0)
			ToNCHW(back, got, s.N, s.OC, p.oh, p.ow)
			sameBits(t, what, back, want)
		}
	}
}
