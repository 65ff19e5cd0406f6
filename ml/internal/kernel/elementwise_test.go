package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Every elementwise loop gives, at every level and for every length, the bits of the
// portable one; zeros may differ in sign where the inputs are edges.
func TestElementwiseEqualsPortable(t *testing.T) {
	r := random(t)
	loops := map[string]func(l Level, y, a, b, c []float32){
		"add":      func(l Level, y, a, b, _ []float32) { add(l, y, a, b) },
		"sub":      func(l Level, y, a, b, _ []float32) { sub(l, y, a, b) },
		"mul":      func(l Level, y, a, b, _ []float32) { mul(l, y, a, b) },
		"leaky":    func(l Level, y, a, _, _ []float32) { leakyReLU(l, y, a, 0.3) },
		"prelu":    func(l Level, y, a, b, _ []float32) { prelu(l, y, a, b) },
		"sqrt":     func(l Level, y, _, _, c []float32) { sqrt(l, y, c) },
		"addReLU":  func(l Level, y, a, b, _ []float32) { addReLU(l, y, a, b) },
		"relu":     func(l Level, y, a, _, _ []float32) { relu(l, y, a) },
		"reluGrad": func(l Level, y, a, b, _ []float32) { reluGrad(l, y, a, b) },
		"axpy":     func(l Level, y, a, _, _ []float32) { axpy(l, y, 0.7, a) },
		"scale":    func(l Level, y, _, _, _ []float32) { scale(l, y, -1.3) },
		"shift":    func(l Level, y, _, _, _ []float32) { shift(l, y, -1.3) },
		"affine":   func(l Level, y, a, _, _ []float32) { affine(l, y, a, 0.3, -1.3) },
		"normGrad": func(l Level, y, a, b, _ []float32) { normGrad(l, y, a, b, 0.3, 1.7, -0.2, 0.4, 0.9) },
		"momentum": func(l Level, y, a, b, _ []float32) { momentumSGD(l, y, a, b, 0.1, 0.9) },
		"div":      func(l Level, y, a, b, _ []float32) { div(l, y, a, b) },
		"clip":     func(l Level, y, a, _, _ []float32) { clip(l, y, a, -0.5, 0.7) },
		"six":      func(l Level, y, a, _, _ []float32) { clip(l, y, a, 0, 6) },
		"adam": func(l Level, y, a, b, c []float32) {
			p := NewAdamParams(1e-3, 0.9, 0.999, 1e-8, 3)
			p.WeightDecay = 0.01
			adam(l, y, a, b, c, p)
		},
		"exp":     func(l Level, y, a, _, _ []float32) { exp(l, y, a) },
		"sigmoid": func(l Level, y, a, _, _ []float32) { sigmoid(l, y, a) },
		"tanh":    func(l Level, y, a, _, _ []float32) { tanh(l, y, a) },
	}
	for name, f := range loops {
		t.Run(name, func(t *testing.T) {
			for n := range 70 {
				checkLoop(t, r, f, n, 0, sameBits)
				checkLoop(t, r, f, n, 1+n/2, same)
			}
		})
	}
}

// checkLoop runs a loop over n elements with edges at some places.
func checkLoop(t *testing.T, r *rand.Rand, f func(l Level, y, a, b, c []float32), n, edges int, check func(t *testing.T, what string, got, want []float32)) {
	t.Helper()
	var in [4][]float32
	for i := range in {
		in[i] = edgy(r, n, edges)
	}
	for i := range in[3] {
		in[3][i] = float32(math.Abs(float64(in[3][i]))) // second moments
	}
	want := runLoop(f, Portable, in)
	for _, l := range levels()[1:] {
		got := runLoop(f, l, in)
		for i := range want {
			check(t, l.String(), got[i], want[i])
		}
	}
}

func runLoop(f func(l Level, y, a, b, c []float32), l Level, in [4][]float32) [4][]float32 {
	var s [4][]float32
	for i := range in {
		s[i] = append([]float32{}, in[i]...)
	}
	f(l, s[0], s[1], s[2], s[3])
	return s
}

func TestExpFunctions(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	var x []float32
	for v := float32(-100); v < 100; v += 0.0137 {
		x = append(x, v)
	}
	x = append(x, nan, nan, inf, -inf, 0, 1e-20, -1e-20, 0.62, 0.63, 88.8, 3e38, -3e38)
	for _, c := range []struct {
		name string
		f    func(l Level, y, x []float32)
		want func(float64) float64
	}{
		{"exp", exp, expWithin},
		{"sigmoid", sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }},
		{"tanh", tanh, math.Tanh},
	} {
		for _, l := range levels() {
			y := make([]float32, len(x))
			c.f(l, y, x)
			for i, v := range x {
				want := c.want(float64(v))
				if v != v {
					if y[i] == y[i] {
						t.Errorf("%s %s(NaN) = %v, want NaN", l, c.name, y[i])
					}
					continue
				}
				if d := math.Abs(float64(y[i]) - want); d > 3e-7*math.Abs(want)+2e-38 {
					t.Errorf("%s %s(%v) = %v, want %v", l, c.name, v, y[i], want)
				}
			}
		}
	}
}

// expWithin is exp with the range that exp32 promises.
func expWithin(x float64) float64 {
	switch {
	case x > 88.37:
		return math.Inf(1)
	case x < -87.3:
		return 0
	}
	return math.Exp(x)
}

// Comparisons let a NaN through, so that it is seen at the loss.
func TestReLUKeepsNaN(t *testing.T) {
	for _, l := range levels() {
		x := make([]float32, 40)
		for i := range x {
			x[i] = float32(math.NaN())
		}
		y := make([]float32, len(x))
		relu(l, y, x)
		for i, v := range y {
			if v == v {
				t.Fatalf("%s: element %d is %v, want NaN", l, i, v)
			}
		}
	}
}
