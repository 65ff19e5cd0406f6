package kernel

import (
	"math"
	"testing"
)

// Every rule is checked against its formula in float64 over three steps.
func TestOptimizers(t *testing.T) {
	const lr, momentum, eps = 0.05, 0.9, 1e-6
	type state struct{ p, g, s1, s2, s3 float64 }
	for _, c := range []struct {
		name string
		run  func(p, g, s1, s2, s3 []float32, step int)
		want func(s *state, step int)
	}{
		{"sgd", func(p, g, _, _, _ []float32, _ int) { SGD(p, g, lr) }, func(s *state, _ int) { s.p -= lr * s.g }},
		{"momentum", func(p, g, v, _, _ []float32, _ int) { MomentumSGD(p, g, v, lr, momentum) }, func(s *state, _ int) {
			s.s1 = momentum*s.s1 - lr*s.g
			s.p += s.s1
		}},
		{"adagrad", func(p, g, h, _, _ []float32, _ int) { AdaGrad(p, g, h, lr, eps) }, func(s *state, _ int) {
			s.s1 += s.g * s.g
			s.p -= lr * s.g / (math.Sqrt(s.s1) + eps)
		}},
		{"rmsprop", func(p, g, ms, _, _ []float32, _ int) { RMSprop(p, g, ms, lr, 0.99, eps) }, func(s *state, _ int) {
			s.s1 = 0.99*s.s1 + 0.01*s.g*s.g
			s.p -= lr * s.g / (math.Sqrt(s.s1) + eps)
		}},
		{"adam", func(p, g, m, v, _ []float32, step int) {
			a := NewAdamParams(lr, 0.9, 0.999, eps, step)
			a.WeightDecay = 0.1
			Adam(p, g, m, v, a)
		}, func(s *state, step int) {
			s.s1 = 0.9*s.s1 + 0.1*s.g
			s.s2 = 0.999*s.s2 + 0.001*s.g*s.g
			s.p -= adamStep(lr, s.s1, s.s2, eps, step) + 0.1*s.p
		}},
		{"amsgrad", func(p, g, m, v, vhat []float32, step int) {
			AMSGrad(p, g, m, v, vhat, NewAdamParams(lr, 0.9, 0.999, eps, step))
		}, func(s *state, step int) {
			s.s1 = 0.9*s.s1 + 0.1*s.g
			s.s2 = 0.999*s.s2 + 0.001*s.g*s.g
			s.s3 = max(s.s3, s.s2)
			s.p -= adamStep(lr, s.s1, s.s3, eps, step)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := random(t)
			n := 100
			p, s1, s2, s3 := normal(r, n), make([]float32, n), make([]float32, n), make([]float32, n)
			want := make([]state, n)
			for i := range want {
				want[i].p = float64(p[i])
			}
			for step := 1; step <= 3; step++ {
				g := normal(r, n)
				c.run(p, g, s1, s2, s3, step)
				after := make([]float64, n)
				for i := range want {
					want[i].g = float64(g[i])
					c.want(&want[i], step)
					after[i] = want[i].p
				}
				closeTo(t, "parameters", p, after, 1e-5, 1)
			}
		})
	}
}

func adamStep(alpha, m, v, eps float64, step int) float64 {
	alphaT := alpha * math.Sqrt(1-math.Pow(0.999, float64(step))) / (1 - math.Pow(0.9, float64(step)))
	return alphaT * m / (math.Sqrt(v) + eps)
}
