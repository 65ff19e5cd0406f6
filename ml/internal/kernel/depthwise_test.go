package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// randomDepthwise draws a small valid shape whose channels are groups of their own.
func randomDepthwise(r *rand.Rand) ConvShape {
	for {
		c := 2 + r.IntN(50)
		s := ConvShape{
			N: 1 + r.IntN(2), C: c, OC: c, Groups: c, H: 1 + r.IntN(20), W: 1 + r.IntN(40), KH: 1 + r.IntN(5), KW: 1 + r.IntN(5),
			StrideH: 1 + r.IntN(3), StrideW: 1 + r.IntN(3), PadH: r.IntN(5), PadW: r.IntN(5), DilH: r.IntN(4), DilW: r.IntN(4),
		}
		if s.Validate() == nil {
			return s
		}
	}
}

// depthwiseCases are shapes of known networks and of the edges.
func depthwiseCases() []ConvShape {
	square := func(c, hw, k, stride, pad int) ConvShape {
		return ConvShape{N: 1, C: c, OC: c, Groups: c, H: hw, W: hw, KH: k, KW: k, StrideH: stride, StrideW: stride, PadH: pad, PadW: pad}
	}
	line := func(s ConvShape, h, w, kh, kw int) ConvShape {
		s.H, s.W, s.KH, s.KW = h, w, kh, kw
		return s
	}
	return []ConvShape{
		square(32, 33, 3, 1, 1), square(96, 33, 3, 2, 1), square(40, 14, 5, 1, 2), square(17, 15, 5, 2, 2), square(16, 7, 3, 1, 1),
		square(3, 1, 3, 1, 1), square(20, 2, 5, 1, 2), square(9, 30, 1, 1, 0), square(8, 9, 3, 2, 0),
		line(square(24, 1, 3, 1, 0), 1, 45, 1, 7), line(square(24, 1, 3, 2, 0), 45, 1, 3, 1), line(square(5, 1, 1, 1, 3), 4, 40, 2, 3),
	}
}

// checkDepthwise compares a level with the definition.
func checkDepthwise(t *testing.T, r *rand.Rand, l Level, s ConvShape) {
	t.Helper()
	p := planConv(s)
	if !p.isDepthwise() {
		t.Fatalf("%+v is not depthwise", s)
	}
	what := fmt.Sprintf("%s: %+v", l, s)
	x, w, bias := edgy(r, s.N*p.in(), s.C/4), normal(r, s.OC*p.k), edgy(r, s.OC, s.OC/8)
	y := make([]float32, s.N*s.OC*p.out)
	conv2D(l, s, x, w, nil, y)
	closeTo(t, what, y, naiveConv(s, x, w, nil), 1e-5, 10)
	want := naiveConv(s, x, w, bias)
	conv2D(l, s, x, w, bias, y)
	closeTo(t, what, y, want, 1e-5, 10)

	nhwc, other := make([]float32, len(x)), normal(r, len(y))
	ToNHWC(nhwc, x, s.N, s.C, s.H, s.W)
	ToNHWC(y, other, s.N, s.OC, p.oh, p.ow)
	pc, err := PackConv(s, w, bias, ReLU6Activation, nil)
	if err != nil {
		t.Fatal(err)
	}
	pc.run(l, s.N, nhwc, y, tileLoadC)
	ToNCHW(other, y, s.N, s.OC, p.oh, p.ow)
	for i, v := range other {
		if v < 0 || v > 6 {
			t.Fatalf("%s: element %d is %v behind ReLU6", what, i, v)
		}
	}
	pc.run(l, s.N, nhwc, y, 0)
	back := make([]float32, len(y))
	ToNCHW(back, y, s.N, s.OC, p.oh, p.ow)
	for i, v := range want {
		want[i] = min(max(v, 0), 6)
	}
	closeTo(t, what, back, want, 1e-5, 10)
}

func TestDepthwiseAgainstDefinition(t *testing.T) {
	r := random(t)
	for _, l := range levels() {
		t.Run(l.String(), func(t *testing.T) {
			for _, s := range depthwiseCases() {
				checkDepthwise(t, r, l, s)
			}
			for range 100 {
				checkDepthwise(t, r, l, randomDepthwise(r))
			}
		})
	}
}

// What a convolution adds to is taken in once, at every place of the result.
func TestDepthwiseResidual(t *testing.T) {
	r := random(t)
	for _, l := range levels() {
		for range 30 {
			s := randomDepthwise(r)
			p := planConv(s)
			x, w, other := normal(r, s.N*p.in()), normal(r, s.OC*p.k), normal(r, s.N*s.OC*p.out)
			pc, err := PackConv(s, w, nil, Identity, nil)
			if err != nil {
				t.Fatal(err)
			}
			y := make([]float32, len(other))
			pc.run(l, s.N, x, y, 0)
			want := make([]float64, len(y))
			for i, v := range y {
				want[i] = float64(v) + float64(other[i])
			}
			pc.run(l, s.N, x, other, tileLoadC)
			closeTo(t, fmt.Sprintf("%s: %+v", l, s), other, want, 1e-5, 10)
		}
	}
}

// What comes behind a convolution is given whole pixels, whatever part of the result
// they are, and each once, behind the activation and before the pooling.
func TestThen(t *testing.T) {
	r := random(t)
	two := &PoolShape{KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	three := &PoolShape{KH: 3, KW: 3, StrideH: 2, StrideW: 2}
	for _, l := range levels() {
		for _, c := range []struct {
			s    ConvShape
			pool *PoolShape
		}{
			{ConvShape{N: 2, C: 8, H: 90, W: 41, OC: 40, KH: 1, KW: 1, StrideH: 1, StrideW: 1}, nil},
			{ConvShape{N: 1, C: 4, H: 50, W: 30, OC: 24, KH: 3, KW: 3, StrideH: 1, StrideW: 2, PadH: 1, PadW: 1}, nil},
			{ConvShape{N: 1, C: 2, H: 3, W: 2000, OC: 20, KH: 1, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}, nil},
			{ConvShape{N: 1, C: 4, H: 300, W: 5, OC: 30, KH: 3, KW: 3, StrideH: 1, StrideW: 1}, nil},
			{ConvShape{N: 1, C: 32, H: 70, W: 66, OC: 20, KH: 3, KW: 1, StrideH: 1, StrideW: 2, PadH: 1, PadW: 1}, nil}, // padded in bands
			{ConvShape{N: 1, C: 40, H: 60, W: 50, OC: 40, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, Groups: 40}, nil},
			{ConvShape{N: 2, C: 19, H: 200, W: 4, OC: 19, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, Groups: 19}, nil},
			{ConvShape{N: 2, C: 3, H: 12, W: 14, OC: 33, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}, two},
			{ConvShape{N: 2, C: 3, H: 12, W: 14, OC: 33, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}, three},
		} {
			for _, act := range []Activation{Identity, ReLU6Activation, TanhActivation} {
				checkThen(t, r, l, c.s, act, c.pool)
			}
		}
	}
}

// checkThen compares a convolution with a Then with the steps one after the other.
func checkThen(t *testing.T, r *rand.Rand, l Level, s ConvShape, act Activation, pool *PoolShape) {
	t.Helper()
	p := planConv(s)
	what := fmt.Sprintf("%s: %+v", l, s)
	x, w, bias := normal(r, s.N*p.in()), normal(r, s.OC*p.k), normal(r, s.OC)
	plain, err := PackConv(s, w, bias, act, nil)
	if err != nil {
		t.Fatal(err)
	}
	more, err := PackConv(s, w, bias, act, pool)
	if err != nil {
		t.Fatal(err)
	}
	factor, add := normal(r, s.OC), normal(r, s.OC) // below zero too: what is pooled differs
	then := func(y []float32) {
		if len(y)%s.OC != 0 {
			t.Errorf("%s: given %d elements of pixels of %d", what, len(y), s.OC)
		}
		for i := range y {
			y[i] = float32(factor[i%s.OC]*y[i]) + add[i%s.OC]
		}
	}
	more.Then(then)
	want := make([]float32, s.N*s.OC*p.out)
	plain.run(l, s.N, x, want, 0)
	then(want)
	if pool != nil {
		q := *more.pool
		q.N = s.N
		pooled := make([]float32, s.N*s.OC*q.OutH()*q.OutW())
		maxPoolNHWC(l, q, want, pooled)
		want = pooled
	}
	got := make([]float32, len(want))
	more.run(l, s.N, x, got, 0)
	sameBits(t, what, got, want)
}
