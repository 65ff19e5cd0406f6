package kernel

import (
	"fmt"
	"slices"
	"testing"
)

func TestConv2DAgainstDefinition(t *testing.T) {
	r := random(t)
	for _, l := range levels() {
		t.Run(l.String(), func(t *testing.T) {
			for range 60 {
				s := randomConv(r)
				p := planConv(s)
				x, w, bias := normal(r, s.N*s.C*s.H*s.W), normal(r, s.OC*p.k), normal(r, s.OC)
				y := make([]float32, s.N*s.OC*p.out)
				conv2D(l, s, x, w, bias, y)
				closeTo(t, "conv2d", y, naiveConv(s, x, w, bias), 1e-5, 10)
			}
		})
	}
}

// The gradients are adjoints of the forward pass, which is linear in x and in w:
// <gy, conv(x, w)> = <gx, x> = <gw, w>.
func TestConv2DGradientsAreAdjoints(t *testing.T) {
	r := random(t)
	for _, l := range levels() {
		t.Run(l.String(), func(t *testing.T) {
			for range 60 {
				s := randomConv(r)
				p := planConv(s)
				x, w := normal(r, s.N*s.C*s.H*s.W), normal(r, s.OC*p.k)
				gy := normal(r, s.N*s.OC*p.out)
				x2, w2 := normal(r, len(x)), normal(r, len(w))
				gx, gw := make([]float32, len(x)), make([]float32, len(w))
				conv2DGradInput(l, s, gy, w, gx)
				conv2DGradFilter(l, s, x, gy, gw)
				// Fresh x2 and w2 so that each gradient is probed away from its point.
				dots := []float32{
					Dot(gx, x2), float32(dot64(gy, naiveConv(s, x2, w, nil))),
					Dot(gw, w2), float32(dot64(gy, naiveConv(s, x, w2, nil))),
				}
				closeTo(t, "grad input", dots[:1], []float64{float64(dots[1])}, 2e-4, 30)
				closeTo(t, "grad filter", dots[2:3], []float64{float64(dots[3])}, 2e-4, 30)
			}
		})
	}
}

func dot64(a []float32, b []float64) float64 {
	var s float64
	for i, v := range a {
		s += float64(v) * b[i]
	}
	return s
}

func TestPackedConvAgainstDefinition(t *testing.T) {
	r := random(t)
	for _, l := range levels() {
		t.Run(l.String(), func(t *testing.T) {
			for it := range 120 {
				s := randomConv(r)
				var pool *PoolShape
				switch it % 3 {
				case 1:
					pool = &PoolShape{KH: 2, KW: 2, StrideH: 2, StrideW: 2, CoverAll: r.IntN(2) == 1}
				case 2:
					pool = &PoolShape{KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1, CoverAll: r.IntN(2) == 1}
				}
				checkPackedConv(t, l, inTiles[r.IntN(3)], s, pool, edgy(r, s.N*s.C*s.H*s.W, r.IntN(3)), normal(r, s.OC*planConv(s).k), normal(r, s.OC))
			}
		})
	}
}

// A column of pixels is one row to the kernels.
func TestConvolutionAlongAColumn(t *testing.T) {
	r := random(t)
	for _, l := range levels() {
		for range 40 {
			s := randomConv(r)
			s.W, s.KW, s.PadW, s.DilW = 1, 1, 0, 1
			checkPackedConv(t, l, inTiles[r.IntN(3)], s, nil, edgy(r, s.N*s.C*s.H, r.IntN(3)), normal(r, s.OC*planConv(s).k), normal(r, s.OC))
		}
	}
}

// inTiles are the activations that micro-kernels apply.
var inTiles = []Activation{Identity, ReLUActivation, ReLU6Activation}

func checkPackedConv(t *testing.T, l Level, act Activation, s ConvShape, pool *PoolShape, x, w, bias []float32) {
	t.Helper()
	pc, err := PackConv(s, w, bias, act, pool)
	if err != nil {
		if pool == nil {
			t.Fatal(err)
		}
		return // the result is smaller than the window
	}
	h, wd, c := pc.Out()
	want := make([]float32, 0, s.N*h*wd*c)
	for _, v := range naiveConv(s, x, w, bias) {
		want = append(want, float32(v))
	}
	act.Apply(want, want)
	if pool != nil {
		q := *pc.pool
		q.N = s.N
		pooled := make([]float32, s.N*h*wd*c)
		MaxPool(q, want, pooled, nil)
		want = pooled
	}
	nhwc, y, back := make([]float32, len(x)), make([]float32, len(want)), make([]float32, len(want))
	ToNHWC(nhwc, x, s.N, s.C, s.H, s.W)
	pc.run(l, s.N, nhwc, y, 0)
	ToNCHW(back, y, s.N, c, h, wd)
	wide := make([]float64, len(want))
	for i, v := range want {
		wide[i] = float64(v)
	}
	closeTo(t, fmt.Sprintf("%s: %+v, pooling %+v", l, s, pool), back, wide, 1e-5, 10)
}

// Large images are worked on in bands.
func TestPackedConvBands(t *testing.T) {
	r := random(t)
	two := &PoolShape{KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	for _, c := range []struct {
		s    ConvShape
		pool *PoolShape
	}{
		{ConvShape{C: 70, H: 71, W: 60, OC: 35, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, Groups: 7}, nil},
		{ConvShape{C: 70, H: 71, W: 60, OC: 35, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, Groups: 7}, two},
		{ConvShape{C: 70, H: 71, W: 60, OC: 70, KH: 3, KW: 3, StrideH: 2, StrideW: 3, Groups: 7}, nil},
		{ConvShape{C: 300, H: 30, W: 31, OC: 34, KH: 1, KW: 1, StrideH: 1, StrideW: 1}, nil},
		{ConvShape{C: 200, H: 1500, W: 1, OC: 5, KH: 3, KW: 1, StrideH: 1, StrideW: 1, PadH: 1}, nil},
		{ConvShape{C: 700, H: 100, W: 4, OC: 3, KH: 1, KW: 2, StrideH: 1, StrideW: 1, PadW: 1}, nil},
	} {
		c.s.N = 1
		x, w, bias := edgy(r, c.s.C*c.s.H*c.s.W, 2), normal(r, c.s.OC*planConv(c.s).k), normal(r, c.s.OC)
		for _, l := range levels() {
			checkPackedConv(t, l, ReLU6Activation, c.s, c.pool, x, w, bias)
		}
	}
}

// Images that are convolved together give the bits of each alone.
func TestPackedConvTogether(t *testing.T) {
	r := random(t)
	for _, l := range levels() {
		for _, k := range []int{1, 3} {
			s := ConvShape{N: 3, C: 1100 / k / k, H: 4, W: 6, OC: 129, KH: k, KW: k, StrideH: 1, StrideW: 1, PadH: k / 2, PadW: k / 2}
			in, out := s.C*s.H*s.W, s.OC*s.H*s.W
			pc, err := PackConv(s, normal(r, s.OC*s.C*k*k), normal(r, s.OC), ReLUActivation, nil)
			if err != nil {
				t.Fatal(err)
			}
			if pc.group() < s.N {
				t.Fatalf("%d images are convolved together", pc.group())
			}
			x, y := normal(r, s.N*in), normal(r, s.N*out)
			want := slices.Clone(y)
			for i := range s.N {
				pc.run(l, 1, x[i*in:], want[i*out:], tileLoadC)
			}
			got := slices.Clone(y)
			pc.run(l, s.N, x, got, tileLoadC)
			sameBits(t, l.String(), got, want)

			sc := getScratch()
			copy(got, y)
			pc.together(l, sc, 2, s.N, x, got, tileLoadC) // a whole group and a part of one
			putScratch(sc)
			sameBits(t, l.String()+" in groups", got, want)
		}
	}
}

// What convolving images together takes doesn't grow with the batch.
func TestPackedConvGroup(t *testing.T) {
	for _, c := range []struct {
		s    ConvShape
		want int
	}{
		{ConvShape{C: 256, H: 56, W: 56, OC: 256, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}, 1},
		{ConvShape{C: 512, H: 6, W: 6, OC: 512, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}, 20},
		{ConvShape{C: 16, H: 6, W: 6, OC: 512, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}, 1}, // small filters
		{ConvShape{C: 512, H: 300, W: 300, OC: 512, KH: 1, KW: 1, StrideH: 1, StrideW: 1}, 1},
	} {
		pc, err := PackConv(c.s, make([]float32, c.s.OC*planConv(c.s).k), nil, Identity, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := pc.group(); got != c.want {
			t.Errorf("%+v: groups of %d images, want %d", c.s, got, c.want)
		}
	}
}

func TestPackedConvResidual(t *testing.T) {
	r := random(t)
	for _, l := range levels() {
		s := ConvShape{N: 2, C: 5, H: 9, W: 11, OC: 37, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}
		x, w := normal(r, 2*5*99), normal(r, 37*45)
		pc, err := PackConv(s, w, nil, Identity, nil)
		if err != nil {
			t.Fatal(err)
		}
		y, res := make([]float32, 2*99*37), normal(r, 2*99*37)
		pc.run(l, 2, x, y, 0)
		want := make([]float64, len(y))
		for i := range y {
			want[i] = float64(y[i]) + float64(res[i])
		}
		pc.run(l, 2, x, res, tileLoadC)
		closeTo(t, "residual", res, want, 1e-5, 10)
	}
}
