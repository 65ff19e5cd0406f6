package optimizers

import (
	"math"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/links"
)

// AdaGradOptimizer is made by AdaGrad.
type AdaGradOptimizer struct {
	*common
	LR  float64 // learning rate (default 0.001)
	Eps float64 // added to the root (1e-8)
}

// AdaGrad is the method of Duchi et al., JMLR 12 (2011).
func AdaGrad(target links.Link) *AdaGradOptimizer {
	o := &AdaGradOptimizer{LR: 0.001, Eps: 1e-8}
	o.common = newCommon(target, o, map[string]*float64{"lr": &o.LR, "eps": &o.Eps})
	return o
}

func (o *AdaGradOptimizer) slots() []string { return []string{"h"} }

func (o *AdaGradOptimizer) step(p, g []float32, state [][]float32, _ int) {
	kernel.AdaGrad(p, g, state[0], float32(o.LR), float32(o.Eps))
}

// RMSpropOptimizer is made by RMSprop.
type RMSpropOptimizer struct {
	*common
	LR    float64 // learning rate (default 0.01)
	Alpha float64 // decay rate of the mean square (0.99)
	Eps   float64 // added to the root (1e-8)
}

// RMSprop is the method of Tieleman and Hinton (Coursera lecture 6.5, 2012).
func RMSprop(target links.Link) *RMSpropOptimizer {
	o := &RMSpropOptimizer{LR: 0.01, Alpha: 0.99, Eps: 1e-8}
	o.common = newCommon(target, o, map[string]*float64{"lr": &o.LR, "alpha": &o.Alpha, "eps": &o.Eps})
	return o
}

func (o *RMSpropOptimizer) slots() []string { return []string{"ms"} }

func (o *RMSpropOptimizer) step(p, g []float32, state [][]float32, _ int) {
	kernel.RMSprop(p, g, state[0], float32(o.LR), float32(o.Alpha), float32(o.Eps))
}

// AdaDeltaOptimizer is made by AdaDelta.
type AdaDeltaOptimizer struct {
	*common
	Rho float64 // decay rate of both mean squares (default 0.95)
	Eps float64 // keeps the roots away from 0 (1e-6)
}

// AdaDelta is the method of Zeiler, arXiv:1212.5701.
func AdaDelta(target links.Link) *AdaDeltaOptimizer {
	o := &AdaDeltaOptimizer{Rho: 0.95, Eps: 1e-6}
	o.common = newCommon(target, o, map[string]*float64{"rho": &o.Rho, "eps": &o.Eps})
	return o
}

func (o *AdaDeltaOptimizer) slots() []string { return []string{"msg", "msdx"} }

func (o *AdaDeltaOptimizer) step(p, g []float32, state [][]float32, _ int) {
	rho, eps := float32(o.Rho), float32(o.Eps)
	msg, msdx := state[0][:len(p)], state[1][:len(p)]
	for i := range p {
		msg[i] = rho*msg[i] + (1-rho)*g[i]*g[i]
		dx := sqrt((msdx[i]+eps)/(msg[i]+eps)) * g[i]
		msdx[i] = rho*msdx[i] + (1-rho)*dx*dx
		p[i] -= dx
	}
}

// RMSpropGravesOptimizer is made by RMSpropGraves.
type RMSpropGravesOptimizer struct {
	*common
	LR       float64 // learning rate (default 0.0001)
	Alpha    float64 // decay rate of both means (0.95)
	Momentum float64 // how much of the last step is kept (0.9)
	Eps      float64 // added under the root (0.0001)
}

// RMSpropGraves is the variant of Graves, arXiv:1308.0850, which divides by the
// gradient's deviation.
func RMSpropGraves(target links.Link) *RMSpropGravesOptimizer {
	o := &RMSpropGravesOptimizer{LR: 1e-4, Alpha: 0.95, Momentum: 0.9, Eps: 1e-4}
	o.common = newCommon(target, o, map[string]*float64{"lr": &o.LR, "alpha": &o.Alpha, "momentum": &o.Momentum, "eps": &o.Eps})
	return o
}

func (o *RMSpropGravesOptimizer) slots() []string { return []string{"n", "g", "delta"} }

func (o *RMSpropGravesOptimizer) step(p, g []float32, state [][]float32, _ int) {
	lr, alpha, momentum, eps := float32(o.LR), float32(o.Alpha), float32(o.Momentum), float32(o.Eps)
	n, mean, delta := state[0][:len(p)], state[1][:len(p)], state[2][:len(p)]
	for i := range p {
		n[i] = alpha*n[i] + (1-alpha)*g[i]*g[i]
		mean[i] = alpha*mean[i] + (1-alpha)*g[i]
		delta[i] = momentum*delta[i] - lr*g[i]/sqrt(n[i]-mean[i]*mean[i]+eps)
		p[i] += delta[i]
	}
}

// SMORMS3Optimizer is made by SMORMS3.
type SMORMS3Optimizer struct {
	*common
	LR  float64 // the most that a gradient is multiplied with (default 0.001)
	Eps float64 // keeps denominators away from 0 (1e-16)
}

// SMORMS3 is Simon Funk's method (sifter.org/~simon/journal/20150420.html).
func SMORMS3(target links.Link) *SMORMS3Optimizer {
	o := &SMORMS3Optimizer{LR: 0.001, Eps: 1e-16}
	o.common = newCommon(target, o, map[string]*float64{"lr": &o.LR, "eps": &o.Eps})
	return o
}

func (o *SMORMS3Optimizer) slots() []string { return []string{"mem", "g", "g2"} }

func (o *SMORMS3Optimizer) start(slot string) float32 {
	if slot == "mem" {
		return 1
	}
	return 0
}

func (o *SMORMS3Optimizer) step(p, g []float32, state [][]float32, _ int) {
	lr, eps := float32(o.LR), float32(o.Eps)
	mem, mean, square := state[0][:len(p)], state[1][:len(p)], state[2][:len(p)]
	for i := range p {
		r := 1 / (mem[i] + 1)
		mean[i] = (1-r)*mean[i] + r*g[i]
		square[i] = (1-r)*square[i] + r*g[i]*g[i]
		x := mean[i] * mean[i] / (square[i] + eps)
		p[i] -= g[i] * min(lr, x) / (sqrt(square[i]) + eps)
		mem[i] = 1 + mem[i]*(1-x)
	}
}

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
