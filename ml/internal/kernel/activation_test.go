package kernel

import (
	"math"
	"testing"
)

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func TestActivations(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func(y, x []float32)
		grad func(gx, x, y, gy []float32)
		want func(x float64) (y, dydx float64)
	}{
		{"relu", ReLU, func(gx, _, y, gy []float32) { ReLUGrad(gx, y, gy) }, func(x float64) (float64, float64) {
			if x > 0 {
				return x, 1
			}
			return 0, 0
		}},
		{"leaky", func(y, x []float32) { LeakyReLU(y, x, 0.1) }, func(gx, x, _, gy []float32) { LeakyReLUGrad(gx, x, gy, 0.1) }, func(x float64) (float64, float64) {
			if x < 0 {
				return 0.1 * x, 0.1
			}
			return x, 1
		}},
		{"elu", func(y, x []float32) { ELU(y, x, 1.5) }, func(gx, _, y, gy []float32) { ELUGrad(gx, y, gy, 1.5) }, func(x float64) (float64, float64) {
			if x < 0 {
				return 1.5 * math.Expm1(x), 1.5 * math.Exp(x)
			}
			return x, 1
		}},
		{"sigmoid", Sigmoid, func(gx, _, y, gy []float32) { SigmoidGrad(gx, y, gy) }, func(x float64) (float64, float64) {
			s := sigmoid64(x)
			return s, s * (1 - s)
		}},
		{"tanh", Tanh, func(gx, _, y, gy []float32) { TanhGrad(gx, y, gy) }, func(x float64) (float64, float64) {
			v := math.Tanh(x)
			return v, 1 - v*v
		}},
		{"softplus", func(y, x []float32) { Softplus(y, x, 2) }, func(gx, x, _, gy []float32) { SoftplusGrad(gx, x, gy, 2) }, func(x float64) (float64, float64) {
			return (max(2*x, 0) + math.Log1p(math.Exp(-math.Abs(2*x)))) / 2, sigmoid64(2 * x)
		}},
		{"clipped", func(y, x []float32) { ClippedReLU(y, x, 0.75) }, func(gx, x, _, gy []float32) { ClippedReLUGrad(gx, x, gy, 0.75) }, func(x float64) (float64, float64) {
			switch {
			case x <= 0:
				return 0, 0
			case x >= 0.75:
				return 0.75, 0
			}
			return x, 1
		}},
		{"hard", HardSigmoid, func(gx, x, _, gy []float32) { HardSigmoidGrad(gx, x, gy) }, func(x float64) (float64, float64) {
			if math.Abs(x) >= 2.5 {
				return max(0, math.Copysign(1, x)), 0
			}
			return 0.2*x + 0.5, 0.2
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := random(t)
			x := append(normal(r, 90), 0, 0.75, -2.5, 2.5, 30, -30, 90, -90)
			gy := normal(r, len(x))
			y, gx := make([]float32, len(x)), make([]float32, len(x))
			want, wantG := make([]float64, len(x)), make([]float64, len(x))
			for i, v := range x {
				f, d := c.want(float64(v))
				want[i], wantG[i] = f, d*float64(gy[i])
			}
			c.f(y, x)
			closeTo(t, "forward", y, want, 1e-6, 1)
			c.grad(gx, x, y, gy)
			closeTo(t, "gradient", gx, wantG, 1e-5, 1)
			c.f(x, x)
			sameBits(t, "in place", x, y)
		})
	}
}

func TestActivationApply(t *testing.T) {
	x := []float32{-2, -0.5, 0, 0.5, 2}
	for act, f := range map[Activation]func(y, x []float32){
		Identity:            func(y, x []float32) { copy(y, x) },
		ReLUActivation:      ReLU,
		LeakyReLUActivation: func(y, x []float32) { LeakyReLU(y, x, 0.2) },
		SigmoidActivation:   Sigmoid,
		TanhActivation:      Tanh,
	} {
		got, want := make([]float32, len(x)), make([]float32, len(x))
		act.Apply(got, x)
		f(want, x)
		sameBits(t, "apply", got, want)
	}
}
