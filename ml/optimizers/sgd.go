package optimizers

import (
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/links"
)

// SGDOptimizer is made by SGD.
type SGDOptimizer struct {
	*common
	LR float64 // learning rate (default 0.01)
}

// SGD is plain stochastic gradient descent.
func SGD(target links.Link) *SGDOptimizer {
	o := &SGDOptimizer{LR: 0.01}
	o.common = newCommon(target, o, map[string]*float64{"lr": &o.LR})
	return o
}

func (o *SGDOptimizer) slots() []string { return nil }

func (o *SGDOptimizer) step(p, g []float32, _ [][]float32, _ int) { kernel.SGD(p, g, float32(o.LR)) }

// MomentumSGDOptimizer is made by MomentumSGD.
type MomentumSGDOptimizer struct {
	*common
	LR       float64 // learning rate (default 0.01)
	Momentum float64 // how much of the last step is kept (0.9)
}

// MomentumSGD is stochastic gradient descent with momentum.
func MomentumSGD(target links.Link) *MomentumSGDOptimizer {
	o := &MomentumSGDOptimizer{LR: 0.01, Momentum: 0.9}
	o.common = newCommon(target, o, map[string]*float64{"lr": &o.LR, "momentum": &o.Momentum})
	return o
}

func (o *MomentumSGDOptimizer) slots() []string { return []string{"v"} }

func (o *MomentumSGDOptimizer) step(p, g []float32, state [][]float32, _ int) {
	kernel.MomentumSGD(p, g, state[0], float32(o.LR), float32(o.Momentum))
}

// NesterovAGOptimizer is made by NesterovAG.
type NesterovAGOptimizer struct {
	*common
	LR       float64 // learning rate (default 0.01)
	Momentum float64 // how much of the last step is kept (0.9)
}

// NesterovAG is Nesterov's accelerated gradient after Bengio et al.,
// arXiv:1212.0901. It computes what Chainer 7.8.1 computes, which steps
// farther than the paper does:
//
//	v = m v - lr g; p += m*m*v - (1+m) lr g
func NesterovAG(target links.Link) *NesterovAGOptimizer {
	o := &NesterovAGOptimizer{LR: 0.01, Momentum: 0.9}
	o.common = newCommon(target, o, map[string]*float64{"lr": &o.LR, "momentum": &o.Momentum})
	return o
}

func (o *NesterovAGOptimizer) slots() []string { return []string{"v"} }

func (o *NesterovAGOptimizer) step(p, g []float32, state [][]float32, _ int) {
	lr, m, v := float32(o.LR), float32(o.Momentum), state[0][:len(p)]
	for i := range p {
		v[i] = m*v[i] - lr*g[i]
		p[i] += m*m*v[i] - (1+m)*lr*g[i]
	}
}
