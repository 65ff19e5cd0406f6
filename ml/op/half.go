package op

import (
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// RoundHalf rounds to the numbers that float16 holds; the result is float32 still.
// It has no gradient. Input x; output of the same shape.
type RoundHalf struct{}

func (RoundHalf) Name() string                            { return "RoundHalf" }
func (RoundHalf) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }
func (RoundHalf) Forward(c *nn.Call) error                { kernel.RoundHalf(c.Y(0), c.X(0)); return nil }
