package kernel

import "math"

// Optimizer steps make one pass over parameters, gradients and state: they are
// bound by memory, so nothing is read twice. All slices are at least as long as p.

// AdamParams are the numbers of one Adam step, as Chainer names them.
type AdamParams struct {
	// AlphaT is alpha*sqrt(1-beta2^t)/(1-beta1^t), the bias-corrected step.
	AlphaT float32
	// Beta1 and Beta2 are the decay rates of the moments.
	Beta1, Beta2 float32
	// Eps is added to the root of the second moment.
	Eps float32
	// Eta scales the whole step; 1 unless a schedule changes it.
	Eta float32
	// WeightDecay is AdamW's decoupled rate, 0 for Adam.
	WeightDecay float32
}

// NewAdamParams computes the corrected step size of step t, counted from 1.
func NewAdamParams(alpha, beta1, beta2, eps float64, t int) AdamParams {
	fix1, fix2 := 1-math.Pow(beta1, float64(t)), 1-math.Pow(beta2, float64(t))
	return AdamParams{
		AlphaT: float32(alpha * math.Sqrt(fix2) / fix1),
		Beta1:  float32(beta1), Beta2: float32(beta2), Eps: float32(eps), Eta: 1,
	}
}

// Adam updates p and the moments m and v (Kingma and Ba 2015; Loshchilov and
// Hutter 2019 for WeightDecay):
//
//	m += (1-beta1)*(g-m); v += (1-beta2)*(g*g-v)
//	p -= eta*(alphaT*m/(sqrt(v)+eps) + weightDecay*p)
func Adam(p, g, m, v []float32, a AdamParams) { adam(active, p, g, m, v, a) }

func adam(l Level, p, g, m, v []float32, a AdamParams) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	c1, c2 := 1-a.Beta1, 1-a.Beta2
	for i := adamVec(l, p, g, m, v, c1, c2, a.AlphaT, a.Eps, a.Eta, a.WeightDecay); i < len(p); i++ {
		m[i] += c1 * (g[i] - m[i])
		v[i] += c2 * (g[i]*g[i] - v[i])
		p[i] -= a.Eta * (a.AlphaT*m[i]/(sqrt32(v[i])+a.Eps) + a.WeightDecay*p[i])
	}
}

// AMSGrad is Adam with the largest second moment so far, vhat, in the root.
func AMSGrad(p, g, m, v, vhat []float32, a AdamParams) {
	g, m, v, vhat = g[:len(p)], m[:len(p)], v[:len(p)], vhat[:len(p)]
	c1, c2 := 1-a.Beta1, 1-a.Beta2
	for i := range p {
		m[i] += c1 * (g[i] - m[i])
		v[i] += c2 * (g[i]*g[i] - v[i])
		vhat[i] = max(vhat[i], v[i])
		p[i] -= a.Eta * (a.AlphaT*m[i]/(sqrt32(vhat[i])+a.Eps) + a.WeightDecay*p[i])
	}
}

// SGD computes p -= lr*g.
func SGD(p, g []float32, lr float32) { Axpy(p, -lr, g) }

// MomentumSGD computes v = momentum*v - lr*g; p += v.
func MomentumSGD(p, g, v []float32, lr, momentum float32) {
	momentumSGD(active, p, g, v, lr, momentum)
}

func momentumSGD(l Level, p, g, v []float32, lr, momentum float32) {
	g, v = g[:len(p)], v[:len(p)]
	for i := momentumVec(l, p, g, v, lr, momentum); i < len(p); i++ {
		v[i] = momentum*v[i] - lr*g[i]
		p[i] += v[i]
	}
}

// AdaGrad computes h += g*g; p -= lr*g/(sqrt(h)+eps).
func AdaGrad(p, g, h []float32, lr, eps float32) {
	g, h = g[:len(p)], h[:len(p)]
	for i := range p {
		h[i] += g[i] * g[i]
		p[i] -= lr * g[i] / (sqrt32(h[i]) + eps)
	}
}

// RMSprop computes ms = alpha*ms + (1-alpha)*g*g; p -= lr*g/(sqrt(ms)+eps).
func RMSprop(p, g, ms []float32, lr, alpha, eps float32) {
	g, ms = g[:len(p)], ms[:len(p)]
	for i := range p {
		ms[i] = alpha*ms[i] + (1-alpha)*g[i]*g[i]
		p[i] -= lr * g[i] / (sqrt32(ms[i]) + eps)
	}
}

func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }
