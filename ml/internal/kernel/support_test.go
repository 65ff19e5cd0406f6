package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// levels are the CPU levels that this machine can run.
func levels() []Level {
	var ls []Level
	for l := Portable; l <= BestLevel(); l++ {
		ls = append(ls, l)
	}
	return ls
}

// random returns a source with a fresh seed, which a failing test prints.
func random(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 1))
}

func normal(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(r.NormFloat64())
	}
	return s
}

// edges are the values round which comparisons decide.
var edges = []float32{
	float32(math.NaN()), 0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)),
	6, math.Nextafter32(6, 7),
}

// edgy is normal with edges at about count places.
func edgy(r *rand.Rand, n, count int) []float32 {
	s := normal(r, n)
	for range min(count, n) {
		s[r.IntN(n)] = edges[r.IntN(len(edges))]
	}
	return s
}

// closeTo fails the test when got differs from want by more than
// tol*(scale+|want|). Equal infinities are close, as a pooling window in the padding
// gives them, and so are NaNs.
func closeTo(t *testing.T, what string, got []float32, want []float64, tol, scale float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		g := float64(got[i])
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		if math.IsInf(w, 0) || !(math.Abs(g-w) <= tol*(scale+math.Abs(w))) {
			t.Fatalf("%s: element %d of %d is %v, want %v", what, i, len(want), got[i], w)
		}
	}
}

// sameBits fails the test when two slices differ in any bit.
func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d is %v, want exactly %v", what, i, got[i], want[i])
		}
	}
}

// same is sameBits where one NaN is like another and zeros have no sign.
func same(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, w := range want {
		if g := got[i]; g != w && (g == g || w == w) {
			t.Fatalf("%s: element %d is %v, want exactly %v", what, i, g, w)
		}
	}
}

// naiveGemm is the definition in float64.
func naiveGemm(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) []float64 {
	out := make([]float64, len(c))
	for i := range out {
		out[i] = float64(c[i])
	}
	for i := range m {
		for j := range n {
			var s float64
			for p := range k {
				x, y := i*lda+p, p*ldb+j
				if transA {
					x = p*lda + i
				}
				if transB {
					y = j*ldb + p
				}
				s += float64(a[x]) * float64(b[y])
			}
			v := float64(alpha) * s
			if beta != 0 {
				v += float64(beta) * float64(c[i*ldc+j])
			}
			out[i*ldc+j] = v
		}
	}
	return out
}

// naiveConv is the definition in float64, NCHW.
func naiveConv(s ConvShape, x, w, bias []float32) []float64 {
	s = s.defaults()
	oh, ow, cg, og := s.OutH(), s.OutW(), s.C/s.Groups, s.OC/s.Groups
	y := make([]float64, s.N*s.OC*oh*ow)
	for i := range y {
		ox, oy, oc, n := i%ow, i/ow%oh, i/ow/oh%s.OC, i/ow/oh/s.OC
		var sum float64
		if bias != nil {
			sum = float64(bias[oc])
		}
		for c := range cg {
			for ky := range s.KH {
				for kx := range s.KW {
					iy, ix := oy*s.StrideH+ky*s.DilH-s.PadH, ox*s.StrideW+kx*s.DilW-s.PadW
					if iy < 0 || iy >= s.H || ix < 0 || ix >= s.W {
						continue
					}
					sum += float64(x[((n*s.C+oc/og*cg+c)*s.H+iy)*s.W+ix]) * float64(w[((oc*cg+c)*s.KH+ky)*s.KW+kx])
				}
			}
		}
		y[i] = sum
	}
	return y
}

// randomConv draws a small valid shape.
func randomConv(r *rand.Rand) ConvShape {
	for {
		g := 1 + r.IntN(3)*r.IntN(2)
		s := ConvShape{
			N: 1 + r.IntN(3), C: g * (1 + r.IntN(5)), H: 1 + r.IntN(20), W: 1 + r.IntN(34),
			OC: g * (1 + r.IntN(40)), KH: 1 + r.IntN(5), KW: 1 + r.IntN(5),
			StrideH: 1 + r.IntN(3), StrideW: 1 + r.IntN(3), PadH: r.IntN(3), PadW: r.IntN(3),
			DilH: r.IntN(3), DilW: r.IntN(3), Groups: g,
		}
		if s.Validate() == nil {
			return s
		}
	}
}

// gradient returns the central difference of f by every element of x.
func gradient(f func() float64, x []float32) []float64 {
	const eps = 1.0 / 128
	g := make([]float64, len(x))
	for i, v := range x {
		x[i] = v + eps
		hi := f()
		x[i] = v - eps
		lo := f()
		x[i] = v
		g[i] = (hi - lo) / (2 * eps)
	}
	return g
}

// widen returns x in float64.
func widen(x []float32) []float64 {
	w := make([]float64, len(x))
	for i, v := range x {
		w[i] = float64(v)
	}
	return w
}

// dot is the sum of a[i]*b[i] in float64.
func dot(a, b []float32) float64 { return dot64(a, widen(b)) }
