package op

import (
	"math"

	"github.com/hibana-engine/hibana/ml/nn"
)

// Zip is a function of two elements by its name in ONNX, such as "Less" or "And";
// truth values are 0 and 1, integers are whole numbers. It has no gradient. Inputs
// a, b, which broadcast; output of the common shape.
type Zip struct{ Function string }

func (Zip) Name() string { return "Zip" }

func (o Zip) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if zips[o.Function] == nil {
		return nil, nn.ValueErrorf("no function %q", o.Function)
	}
	return binaryOutputs(in)
}

func (o Zip) Forward(c *nn.Call) error { return binaryForward(c, nil, zips[o.Function]) }

// zips are the functions. The table is never written.
var zips = map[string]func(a, b float32) float32{
	"Equal":          func(a, b float32) float32 { return chosen(a == b, 1) },
	"Less":           func(a, b float32) float32 { return chosen(a < b, 1) },
	"LessOrEqual":    func(a, b float32) float32 { return chosen(a <= b, 1) },
	"Greater":        func(a, b float32) float32 { return chosen(a > b, 1) },
	"GreaterOrEqual": func(a, b float32) float32 { return chosen(a >= b, 1) },
	"And":            func(a, b float32) float32 { return chosen(a != 0 && b != 0, 1) },
	"Or":             func(a, b float32) float32 { return chosen(a != 0 || b != 0, 1) },
	"Xor":            func(a, b float32) float32 { return chosen((a != 0) != (b != 0), 1) },
	// Of whole numbers; by 0 there is no whole result, which Exact finds.
	"DivInt": func(a, b float32) float32 { return float32(math.Trunc(float64(a) / float64(b))) },
	"PowInt": func(a, b float32) float32 { return float32(math.Trunc(math.Pow(float64(a), float64(b)))) },
	"Fmod":   func(a, b float32) float32 { return float32(math.Mod(float64(a), float64(b))) },
	"Mod": func(a, b float32) float32 { // with the sign of b
		m := math.Mod(float64(a), float64(b))
		if m != 0 && (m < 0) != (b < 0) {
			m += float64(b)
		}
		return float32(m)
	},
	"BitwiseAnd": func(a, b float32) float32 { return float32(int64(a) & int64(b)) },
	"BitwiseOr":  func(a, b float32) float32 { return float32(int64(a) | int64(b)) },
	"BitwiseXor": func(a, b float32) float32 { return float32(int64(a) ^ int64(b)) },
	// By less than 0, bits are shifted as by all of them.
	"ShiftRight": func(a, b float32) float32 {
		if b < 0 {
			b = 63
		}
		return float32(int64(a) >> uint(min(b, 63)))
	},
	"ShiftLeft": func(a, b float32) float32 {
		if b < 0 {
			return 0
		}
		return a * float32(math.Exp2(float64(b)))
	},
}

// Select is a where the condition isn't 0, else b. Inputs condition, a, b, float32,
// which broadcast; output of the common shape. It has no gradient; see [Where].
type Select struct{}

func (Select) Name() string { return "Select" }

func (Select) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 3, "condition", "a", "b"); err != nil {
		return nil, err
	}
	s, err := broadcastShape(in[1].Shape, in[2].Shape)
	if err == nil {
		s, err = broadcastShape(in[0].Shape, s)
	}
	if err != nil {
		return nil, err
	}
	return one(s...), nil
}

func (Select) Forward(c *nn.Call) error {
	shape, y := c.Out[0].Shape(), c.Y(0)
	full := rowMajor(shape)
	move(y, full, c.X(1), broadcast(c.In[1].Shape(), shape), shape)
	other := c.Scratch(len(y))
	defer c.Free(other)
	move(other, full, c.X(2), broadcast(c.In[2].Shape(), shape), shape)
	condition := c.X(0)
	walk(shape, full, broadcast(c.In[0].Shape(), shape), func(k, i, n, dk, di int) {
		for ; n > 0; n-- {
			if condition[i] == 0 {
				y[k] = other[k]
			}
			k += dk
			i += di
		}
	})
	return nil
}

// MaxExact is the largest whole number that stands for itself alone in float32: what
// is rounded to it was it, while 2^24 may have been 2^24+1.
const MaxExact = 1<<24 - 1

// Exact passes on whole numbers of a range and fails on anything else, so that
// integers that are kept as floats are never wrong. Input x; output of the same
// shape.
type Exact struct{ Low, High float32 }

func (Exact) Name() string                            { return "Exact" }
func (Exact) Outputs(in []nn.Spec) ([]nn.Spec, error) { return sameShape(in) }

func (o Exact) Forward(c *nn.Call) error {
	y := c.Y(0)
	for i, v := range c.X(0) {
		if !(v >= o.Low && v <= o.High) || float32(math.Trunc(float64(v))) != v {
			return nn.ValueErrorf("element %d is %v, want a whole number between %v and %v: integers of networks are kept as float32", i, v, o.Low, o.High)
		}
		y[i] = v
	}
	return nil
}
