package optimizers

import (
	"math"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// Hook changes gradients before an optimizer uses them. Hooks run in the order
// in which they were added.
type Hook interface {
	// Apply sees all parameters that have a gradient.
	Apply(params []*nn.Parameter)
}

// HookFunc makes a function a Hook.
type HookFunc func(params []*nn.Parameter)

// Apply calls f.
func (f HookFunc) Apply(params []*nn.Parameter) { f(params) }

// WeightDecay adds rate times the parameter to each gradient: the gradient of
// an L2 penalty of rate/2.
func WeightDecay(rate float64) Hook {
	return HookFunc(func(params []*nn.Parameter) {
		for _, p := range params {
			kernel.Axpy(p.GradFloats(), float32(rate), p.Floats())
		}
	})
}

// Lasso adds rate times the parameter's sign to each gradient: the gradient of
// an L1 penalty.
func Lasso(rate float64) Hook {
	return HookFunc(func(params []*nn.Parameter) {
		for _, p := range params {
			g := p.GradFloats()
			for i, v := range p.Floats() {
				switch {
				case v > 0:
					g[i] += float32(rate)
				case v < 0:
					g[i] -= float32(rate)
				}
			}
		}
	})
}

// GradientClipping scales all gradients down together when their common L2
// norm is above threshold (Pascanu et al., arXiv:1211.5063).
func GradientClipping(threshold float64) Hook {
	return HookFunc(func(params []*nn.Parameter) {
		sum := 0.0
		for _, p := range params {
			sum += kernel.SumSquares(p.GradFloats())
		}
		norm := math.Sqrt(sum)
		if norm <= threshold || norm == 0 {
			return
		}
		for _, p := range params {
			kernel.Scale(p.GradFloats(), float32(threshold/norm))
		}
	})
}

// GradientHardClipping cuts each element of each gradient to [lower, upper].
func GradientHardClipping(lower, upper float64) Hook {
	return HookFunc(func(params []*nn.Parameter) {
		for _, p := range params {
			g := p.GradFloats()
			for i, v := range g {
				g[i] = min(max(v, float32(lower)), float32(upper))
			}
		}
	})
}
