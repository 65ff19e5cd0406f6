package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// gap is what lies between pixels that are apart and must stay.
const gap = float32(-77)

// apart puts pixels of c elements ld elements apart.
func apart(x []float32, c, ld int) []float32 {
	n := len(x) / c
	out := filled((n-1)*ld+c, gap)
	MovePixels(out, ld, x, c, c, n)
	return out
}

// together is the reverse; what lay between must still be there.
func together(t *testing.T, what string, x []float32, c, ld int) []float32 {
	t.Helper()
	n := PixelCount(x, ld)
	out := make([]float32, n*c)
	MovePixels(out, c, x, ld, c, n)
	for i, v := range x {
		if i%ld >= c && v != gap {
			t.Fatalf("%s: element %d between two pixels is %v", what, i, v)
		}
	}
	return out
}

// Convolutions of pixels that lie apart give the bits of those side by side.
func TestConvolutionOfPixelsApart(t *testing.T) {
	r := random(t)
	two := &PoolShape{KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	three := &PoolShape{KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1}
	large := []ConvShape{
		{N: 1, C: 70, H: 71, W: 60, OC: 35, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, Groups: 7},
		{N: 2, C: 300, H: 30, W: 31, OC: 34, KH: 1, KW: 1, StrideH: 1, StrideW: 1},
		{N: 1, C: 200, H: 1500, W: 1, OC: 5, KH: 3, KW: 1, StrideH: 1, StrideW: 1, PadH: 1},
		{N: 2, C: 32, H: 70, W: 66, OC: 20, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1},
		{N: 3, C: 1100, H: 4, W: 6, OC: 129, KH: 1, KW: 1, StrideH: 1, StrideW: 1},
		{N: 3, C: 120, H: 4, W: 6, OC: 129, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1},
		{N: 3, C: 120, H: 6, W: 6, OC: 129, KH: 3, KW: 3, StrideH: 1, StrideW: 1},
	}
	for _, l := range levels() {
		for i := range 100 {
			s := randomConv(r)
			if i%3 == 0 {
				s = randomDepthwise(r)
			}
			checkApart(t, r, l, s, []*PoolShape{nil, nil, two, three}[r.IntN(4)])
		}
		for _, s := range large {
			checkApart(t, r, l, s, nil)
		}
	}
}

func checkApart(t *testing.T, r *rand.Rand, l Level, s ConvShape, pool *PoolShape) {
	t.Helper()
	w, bias := normal(r, s.OC*planConv(s).k), normal(r, s.OC)
	act := []Activation{Identity, ReLUActivation, TanhActivation}[r.IntN(3)]
	then := r.IntN(3) == 0
	ldx, ldy, first := s.C+r.IntN(20), s.OC+r.IntN(20), 0
	if pool == nil && r.IntN(3) == 0 {
		first = tileLoadC
	}
	what := fmt.Sprintf("%s: %+v, pooling %+v, %v, then %v, flags %d, %d and %d apart", l, s, pool, act, then, first, ldx, ldy)
	p, err := PackConv(s, w, bias, act, pool)
	if err != nil {
		return // the result is smaller than the window
	}
	follow := func() {
		if then {
			p.Then(func(y []float32) {
				if len(y)%s.OC != 0 {
					t.Errorf("%s: given %d elements", what, len(y))
				}
				affine(l, y, y, 2, 1)
			})
		}
	}
	follow()
	h, wd, c := p.Out()
	x, y := normal(r, s.N*s.H*s.W*s.C), normal(r, s.N*h*wd*c)
	in, got := apart(x, s.C, ldx), apart(y, c, ldy)
	p.run(l, s.N, x, y, first)
	if p, err = PackConv(s, w, bias, act, pool); err != nil {
		t.Fatal(err)
	}
	if r.IntN(2) == 0 {
		follow()
		p.Apart(ldx, ldy)
	} else {
		p.Apart(ldx, ldy)
		follow()
	}
	p.run(l, s.N, in, got, first)
	sameBits(t, what, together(t, what, got, c, ldy), y)
}

// Poolings of pixels that lie apart give the bits of those side by side.
func TestPoolingOfPixelsApart(t *testing.T) {
	r := random(t)
	for _, l := range levels() {
		for range 100 {
			s := randomPool(r)
			s.C += r.IntN(2) * 70
			ldx, ldy := s.C+r.IntN(20), s.C+r.IntN(20)
			for _, kind := range []poolKind{maxPixels, sumPixels} {
				what := fmt.Sprintf("%s: %d of %+v, %d and %d apart", l, kind, s, ldx, ldy)
				x, y := normal(r, s.N*s.H*s.W*s.C), make([]float32, s.N*s.OutH()*s.OutW()*s.C)
				got := apart(y, s.C, ldy)
				poolNHWC(l, s, kind, x, s.C, y, s.C)
				poolNHWC(l, s, kind, apart(x, s.C, ldx), ldx, got, ldy)
				sameBits(t, what, together(t, what, got, s.C, ldy), y)
			}
		}
	}
}

// Kernels stay within pixels that lie apart, the last one's end included.
func TestPixelsApartStayInside(t *testing.T) {
	r := random(t)
	for range 40 {
		s := randomConv(r)
		p, err := PackConv(s, normal(r, s.OC*planConv(s).k), nil, ReLUActivation, nil)
		if err != nil {
			t.Fatal(err)
		}
		ldx, ldy := s.C+r.IntN(9), s.OC+r.IntN(9)
		p.Apart(ldx, ldy)
		x := guarded(t, apart(normal(r, s.N*s.H*s.W*s.C), s.C, ldx))
		y := guarded(t, apart(make([]float32, s.N*p.out*s.OC), s.OC, ldy))
		q := randomPool(r)
		from := guarded(t, apart(normal(r, q.N*q.H*q.W*q.C), q.C, q.C+ldx))
		to := guarded(t, apart(make([]float32, q.N*q.OutH()*q.OutW()*q.C), q.C, q.C+ldy))
		for _, l := range levels() {
			p.run(l, s.N, x, y, 0)
			poolNHWC(l, q, maxPixels, from, q.C+ldx, to, q.C+ldy)
		}
	}
}
