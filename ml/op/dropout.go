package op

import (
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// Dropout sets each element to 0 with probability Ratio and scales the others
// by 1/(1-Ratio). Input x; output of the same shape.
type Dropout struct{ Ratio float32 }

func (Dropout) Name() string { return "Dropout" }

func (o Dropout) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if !(o.Ratio >= 0 && o.Ratio < 1) {
		return nil, nn.ValueErrorf("ratio %v, want at least 0 and less than 1", o.Ratio)
	}
	return sameShape(in)
}

func (Dropout) BackwardInPlace() {}

func (o Dropout) Forward(c *nn.Call) error {
	r := c.Rand()
	if r == nil {
		return nn.ErrNoTape
	}
	x := c.X(0)
	mask := c.Keep(len(x))
	scale, threshold := 1/(1-o.Ratio), uint32(float64(o.Ratio)*(1<<32))
	for i := 0; i < len(mask); i += 2 {
		bits := r.Uint64()
		mask[i] = chosen(uint32(bits) >= threshold, scale)
		if i+1 < len(mask) {
			mask[i+1] = chosen(uint32(bits>>32) >= threshold, scale)
		}
	}
	kernel.Mul(c.Y(0), x, mask)
	c.Saved = mask
	return nil
}

func (o Dropout) Backward(c *nn.Call) error {
	kernel.Mul(c.GX(0), c.GY(0), c.Saved.([]float32))
	return nil
}
