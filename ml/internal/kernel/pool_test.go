package kernel

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func randomPool(r *rand.Rand) PoolShape {
	for {
		s := PoolShape{
			N: 1 + r.IntN(3), C: 1 + r.IntN(20), H: 1 + r.IntN(9), W: 1 + r.IntN(9), KH: 1 + r.IntN(4), KW: 1 + r.IntN(4),
			StrideH: 1 + r.IntN(3), StrideW: 1 + r.IntN(3), PadH: r.IntN(3), PadW: r.IntN(3),
			CoverAll: r.IntN(2) == 1, ExcludePad: r.IntN(2) == 1,
		}
		if s.Validate() == nil {
			return s
		}
	}
}

// naivePool folds every window, plane by plane; pad is what the padding counts as.
func naivePool(s PoolShape, x []float32, fold func(window []float64, inside int) float64, pad float64) []float64 {
	oh, ow := s.OutH(), s.OutW()
	y := make([]float64, 0, s.N*s.C*oh*ow)
	for i := range s.N * s.C {
		for o := range oh * ow {
			var w []float64
			inside := 0
			for k := range s.KH * s.KW {
				iy, ix := o/ow*s.StrideH-s.PadH+k/s.KW, o%ow*s.StrideW-s.PadW+k%s.KW
				if iy < 0 || iy >= s.H || ix < 0 || ix >= s.W {
					w = append(w, pad)
					continue
				}
				inside++
				w = append(w, float64(x[(i*s.H+iy)*s.W+ix]))
			}
			y = append(y, fold(w, inside))
		}
	}
	return y
}

func sum64(w []float64) (s float64) {
	for _, v := range w {
		s += v
	}
	return s
}

func TestPoolAgainstDefinition(t *testing.T) {
	r := random(t)
	for range 200 {
		s := randomPool(r)
		x := normal(r, s.N*s.C*s.H*s.W)
		n := s.N * s.C * s.OutH() * s.OutW()
		largest := naivePool(s, x, func(w []float64, _ int) float64 {
			m := math.Inf(-1)
			for _, v := range w {
				m = max(m, v)
			}
			return m
		}, math.Inf(-1))
		mean := naivePool(s, x, func(w []float64, inside int) float64 {
			if s.ExcludePad {
				return sum64(w) / float64(max(inside, 1))
			}
			return sum64(w) / float64(len(w))
		}, 0)
		nhwc, y, back := make([]float32, len(x)), make([]float32, n), make([]float32, n)
		ToNHWC(nhwc, x, s.N, s.C, s.H, s.W)
		MaxPool(s, x, y, nil)
		closeTo(t, "max", y, largest, 1e-5, 1)
		maxPoolNHWC(Portable, s, nhwc, y)
		ToNCHW(back, y, s.N, s.C, s.OutH(), s.OutW())
		closeTo(t, "max nhwc", back, largest, 1e-5, 1)
		AvgPool(s, x, y)
		closeTo(t, "average", y, mean, 1e-5, 1)
		avgPoolNHWC(Portable, s, nhwc, y)
		ToNCHW(back, y, s.N, s.C, s.OutH(), s.OutW())
		closeTo(t, "average nhwc", back, mean, 1e-5, 1)
	}
}

func maxPoolNHWC(l Level, s PoolShape, x, y []float32) { poolNHWC(l, s, maxPixels, x, s.C, y, s.C) }

func avgPoolNHWC(l Level, s PoolShape, x, y []float32) { poolNHWC(l, s, sumPixels, x, s.C, y, s.C) }

// pooled is what every pooling makes of x at a level, in NCHW order.
func pooled(l Level, s PoolShape, x []float32) map[string][]float32 {
	n := s.N * s.C * s.OutH() * s.OutW()
	out := map[string][]float32{}
	made := func(name string) []float32 {
		out[name] = filled(n+1, 7) // one more, which must stay
		return out[name]
	}
	index, nhwc := make([]int32, n), make([]float32, len(x))
	ToNHWC(nhwc, x, s.N, s.C, s.H, s.W)
	maxPool(l, s, x, made("max"), index)
	maxPool(l, s, x, made("max without index"), nil)
	sumPool(l, s, x, made("average"), true)
	sumPool(l, s, x, made("sum"), false)
	maxPoolNHWC(l, s, nhwc, made("max nhwc"))
	avgPoolNHWC(l, s, nhwc, made("average nhwc"))
	gy, grad := make([]float32, n), len(x)
	for i := range gy {
		gy[i] = x[i%len(x)]
	}
	for name, f := range map[string]func(gx []float32){
		"max gradient":     func(gx []float32) { maxPoolGrad(l, s, gy, index, gx) },
		"average gradient": func(gx []float32) { spreadPool(l, s, gy, gx, true) },
		"unpooling":        func(gx []float32) { spreadPool(l, s, gy, gx, false) },
	} {
		out[name] = filled(grad+1, 7)
		f(out[name])
	}
	at := made("index")
	for i, v := range index {
		at[i] = float32(v)
	}
	for _, name := range []string{"max nhwc", "average nhwc"} {
		back := filled(n+1, 7)
		ToNCHW(back, out[name][:n], s.N, s.C, s.OutH(), s.OutW())
		back[n] = out[name][n]
		out[name] = back
	}
	return out
}

// checkPool holds every level against the portable one and the layouts against each
// other, exactly, on images with ties, zeros of both signs, infinities and NaNs.
func checkPool(t *testing.T, r *rand.Rand, s PoolShape) {
	t.Helper()
	x := normal(r, s.N*s.C*s.H*s.W)
	odd := []float32{0, float32(math.Copysign(0, -1)), 1, 1, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}
	for range r.IntN(len(x) + 1) {
		x[r.IntN(len(x))] = odd[r.IntN(len(odd))]
	}
	want := pooled(Portable, s, x)
	for _, l := range levels() {
		got := pooled(l, s, x)
		for name := range want {
			same(t, fmt.Sprintf("%s: %s of %+v", l, name, s), got[name], want[name])
		}
		same(t, "max without index", got["max without index"], got["max"])
		same(t, "max in both layouts", got["max nhwc"], got["max"])
		same(t, "average in both layouts", got["average nhwc"], got["average"])
	}
}

// A window that holds a NaN anywhere gives a NaN, so that it is seen at the loss.
func TestMaxPoolKeepsNaN(t *testing.T) {
	s := PoolShape{N: 1, C: 70, H: 6, W: 40, KH: 3, KW: 3, StrideH: 1, StrideW: 2, PadH: 1, PadW: 1}
	r := random(t)
	for _, l := range levels() {
		x := normal(r, s.C*s.H*s.W)
		at := r.IntN(len(x))
		x[at] = float32(math.NaN())
		c, row, col := at/(s.H*s.W), at/s.W%s.H, at%s.W
		out := pooled(l, s, x)
		for _, name := range []string{"max", "max nhwc"} {
			for i, v := range out[name][:s.C*s.OutH()*s.OutW()] {
				oc, or, o := i/(s.OutH()*s.OutW()), i/s.OutW()%s.OutH(), i%s.OutW()
				covers := oc == c && or-1 <= row && row <= or+1 && 2*o-1 <= col && col <= 2*o+1
				if (v != v) != covers {
					t.Fatalf("%s: %s: result %d is %v, the NaN is at %d", l, name, i, v, at)
				}
			}
		}
	}
}

func TestPoolEqualsPortable(t *testing.T) {
	r := random(t)
	for range 200 {
		checkPool(t, r, randomPool(r))
	}
	for _, s := range []PoolShape{
		{N: 1, C: 3, H: 6, W: 80, KH: 2, KW: 2, StrideH: 2, StrideW: 2},
		{N: 1, C: 2, H: 7, W: 71, KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1, CoverAll: true},
		{N: 1, C: 67, H: 9, W: 40, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, ExcludePad: true},
		{N: 2, C: 33, H: 7, W: 7, KH: 7, KW: 7, StrideH: 1, StrideW: 1},
		{N: 1, C: 16, H: 3, W: 3, KH: 5, KW: 5, StrideH: 3, StrideW: 1, PadH: 3, PadW: 3},
	} {
		checkPool(t, r, s)
	}
}

// Windows of two columns that don't overlap have a kernel for their gradient.
func TestMaxPoolGradOfPairs(t *testing.T) {
	r := random(t)
	for w := 14; w < 52; w++ {
		checkPool(t, r, PoolShape{
			N: 2, C: 3, H: 1 + r.IntN(9), W: w, KH: 1, KW: 2, StrideH: 1 + r.IntN(3), StrideW: 2, CoverAll: r.IntN(2) == 1,
		})
		checkPool(t, r, PoolShape{N: 1, C: 2, H: 2 + r.IntN(9), W: w, KH: 2, KW: 2, StrideH: 2, StrideW: 2, CoverAll: r.IntN(2) == 1})
	}
}

// spreadDefined adds each element of gy, times the weight of its window, to the
// window's positions, one by one.
func spreadDefined(s PoolShape, gy []float32, mean bool) []float64 {
	oh, ow := s.OutH(), s.OutW()
	gx := make([]float64, s.N*s.C*s.H*s.W)
	for i, g := range gy {
		r, c := i/ow%oh, i%ow
		y0, y1 := window(r, s.H, s.KH, s.StrideH, s.PadH)
		x0, x1 := window(c, s.W, s.KW, s.StrideW, s.PadW)
		for y := y0; y < y1; y++ {
			for x := x0; x < x1; x++ {
				gx[(i/(oh*ow)*s.H+y)*s.W+x] += float64(g) * float64(s.weight(mean, y0, y1, x0, x1))
			}
		}
	}
	return gx
}

func TestPoolGradientsAgainstDefinition(t *testing.T) {
	r := random(t)
	for range 100 {
		s := randomPool(r)
		if r.IntN(2) == 0 {
			s.StrideH, s.StrideW, s.CoverAll = 1, 1, false
		}
		if s.Validate() != nil {
			continue // CoverAll let a window be larger than the image
		}
		gy := normal(r, s.N*s.C*s.OutH()*s.OutW())
		gx := make([]float32, s.N*s.C*s.H*s.W)
		AvgPoolGrad(s, gy, gx)
		closeTo(t, fmt.Sprintf("average of %+v", s), gx, spreadDefined(s, gy, true), 1e-5, 1)
		Unpool(s, gy, gx)
		closeTo(t, fmt.Sprintf("unpooling of %+v", s), gx, spreadDefined(s, gy, false), 1e-5, 1)
	}
}

// Averages and unpooling are linear: their gradients are adjoints.
func TestPoolGradientsAreAdjoints(t *testing.T) {
	r := random(t)
	for range 100 {
		s := randomPool(r)
		x, gy := normal(r, s.N*s.C*s.H*s.W), normal(r, s.N*s.C*s.OutH()*s.OutW())
		y, gx := make([]float32, len(gy)), make([]float32, len(x))
		AvgPool(s, x, y)
		AvgPoolGrad(s, gy, gx)
		closeTo(t, "average", []float32{float32(dot(gx, x))}, []float64{dot(gy, y)}, 1e-4, 10)
		// Unpool goes from windows to positions: gy plays its input.
		Unpool(s, gy, gx)
		UnpoolGrad(s, x, y)
		closeTo(t, "unpool", []float32{float32(dot(gx, x))}, []float64{dot(gy, y)}, 1e-4, 10)
	}
}

func TestMaxPoolGradGoesToTheMaximum(t *testing.T) {
	r := random(t)
	for range 100 {
		s := randomPool(r)
		x, gy := normal(r, s.N*s.C*s.H*s.W), normal(r, s.N*s.C*s.OutH()*s.OutW())
		y, gx, index := make([]float32, len(gy)), make([]float32, len(x)), make([]int32, len(gy))
		MaxPool(s, x, y, index)
		MaxPoolGrad(s, gy, index, gx)
		want := make([]float64, len(x))
		out := s.OutH() * s.OutW()
		for i, at := range index {
			if at < 0 {
				continue
			}
			pos := i/out*s.H*s.W + int(at)
			if x[pos] != y[i] {
				t.Fatalf("index %d points at %v, the maximum is %v", i, x[pos], y[i])
			}
			want[pos] += float64(gy[i])
		}
		closeTo(t, "gradient", gx, want, 1e-5, 1)
	}
}

func TestPoolShapes(t *testing.T) {
	cover := PoolShape{N: 1, C: 1, H: 6, W: 7, KH: 3, KW: 3, StrideH: 2, StrideW: 2, CoverAll: true}
	if h, w := cover.OutH(), cover.OutW(); h != 3 || w != 3 {
		t.Errorf("cover_all gives %dx%d, want 3x3", h, w)
	}
	cover.CoverAll = false
	if h, w := cover.OutH(), cover.OutW(); h != 2 || w != 3 {
		t.Errorf("without cover_all it gives %dx%d, want 2x3", h, w)
	}
	for _, c := range []struct {
		cover bool
		want  int
	}{{true, 5}, {false, 6}} {
		if n := UnpoolOut(3, 2, 2, 0, c.cover); n != c.want {
			t.Errorf("unpooling 3 with window 2, cover_all %v, gives %d, want %d", c.cover, n, c.want)
		}
	}
	good := PoolShape{N: 1, C: 1, H: 4, W: 4, KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	for name, spoil := range map[string]func(*PoolShape){
		"no channels": func(s *PoolShape) { s.C = 0 },
		"stride":      func(s *PoolShape) { s.StrideW = 0 },
		"padding":     func(s *PoolShape) { s.PadH = 2 },
		"too large":   func(s *PoolShape) { s.KH = 9 },
	} {
		s := good
		spoil(&s)
		if err := s.Validate(); !errors.Is(err, ErrShape) {
			t.Errorf("%s: error is %v, want one that wraps ErrShape", name, err)
		}
	}
}
