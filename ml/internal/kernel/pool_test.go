package kernel

import (
	"errors"
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
		for _, l := range levels() {
			maxPoolNHWC(l, s, nhwc, y)
			ToNCHW(back, y, s.N, s.C, s.OutH(), s.OutW())
			closeTo(t, "max nhwc "+l.String(), back, largest, 1e-5, 1)
		}
		AvgPool(s, x, y)
		closeTo(t, "average", y, mean, 1e-5, 1)
		AvgPoolNHWC(s, nhwc, y)
		ToNCHW(back, y, s.N, s.C, s.OutH(), s.OutW())
		closeTo(t, "average nhwc", back, mean, 1e-5, 1)
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
