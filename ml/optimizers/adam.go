package optimizers

import (
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/links"
)

// AdamOptimizer is made by Adam and AdamW.
type AdamOptimizer struct {
	*common
	// Alpha is the size of a step (default 0.001).
	Alpha float64
	// Beta1 and Beta2 are the decay rates of the first and second moment
	// (0.9 and 0.999).
	Beta1, Beta2 float64
	// Eps is added to the root of the second moment (1e-8).
	Eps float64
	// Eta scales the whole step, weight decay included (1).
	Eta float64
	// WeightDecayRate is the decoupled weight decay (0; AdamW 0.01).
	WeightDecayRate float64
	// AMSGrad divides by the largest second moment seen so far. It must be set
	// before the first update.
	AMSGrad bool
}

// Adam is the method of Kingma and Ba, arXiv:1412.6980; with AMSGrad set that
// of Reddi et al., arXiv:1904.09237.
func Adam(target links.Link) *AdamOptimizer {
	o := &AdamOptimizer{Alpha: 0.001, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Eta: 1}
	o.common = newCommon(target, o, map[string]*float64{
		"alpha": &o.Alpha, "beta1": &o.Beta1, "beta2": &o.Beta2, "eps": &o.Eps, "eta": &o.Eta, "weight_decay_rate": &o.WeightDecayRate})
	return o
}

// AdamW is Adam with decoupled weight decay, Loshchilov and Hutter,
// arXiv:1711.05101.
func AdamW(target links.Link) *AdamOptimizer {
	o := Adam(target)
	o.WeightDecayRate = 0.01
	return o
}

func (o *AdamOptimizer) slots() []string {
	if o.AMSGrad {
		return []string{"m", "v", "vhat"}
	}
	return []string{"m", "v"}
}

func (o *AdamOptimizer) step(p, g []float32, state [][]float32, t int) {
	a := kernel.NewAdamParams(o.Alpha, o.Beta1, o.Beta2, o.Eps, t)
	a.Eta, a.WeightDecay = float32(o.Eta), float32(o.WeightDecayRate)
	if len(state) == 3 {
		kernel.AMSGrad(p, g, state[0], state[1], state[2], a)
		return
	}
	kernel.Adam(p, g, state[0], state[1], a)
}
