package op

import (
	"math"

	"github.com/hibana-engine/hibana/ml/nn"
)

// Map is a function of each element by its name in ONNX, such as "Erf" or "Gelu",
// with up to two parameters. It has no gradient: functions that networks are
// trained with are operations of their own. Input x; output of the same shape.
type Map struct {
	Function string
	A, B     float32
}

func (Map) Name() string { return "Map" }

func (o Map) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if o.Func() == nil {
		return nil, nn.ValueErrorf("no function %q", o.Function)
	}
	return sameShape(in)
}

func (o Map) Forward(c *nn.Call) error { return unary(c, o.Func()) }

// Func returns the function, nil if there is none of the name.
func (o Map) Func() func(x float32) float32 {
	if f, ok := maps[o.Function]; ok {
		return func(x float32) float32 { return float32(f(float64(x))) }
	}
	f, ok := parametric[o.Function]
	if !ok {
		return nil
	}
	a, b := float64(o.A), float64(o.B)
	return func(x float32) float32 { return float32(f(float64(x), a, b)) }
}

// maps are the functions without parameters. The table is never written.
var maps = map[string]func(x float64) float64{
	"Ceil": math.Ceil, "Floor": math.Floor, "Round": math.RoundToEven, "Trunc": math.Trunc,
	"Erf": math.Erf, "Sin": math.Sin, "Cos": math.Cos, "Tan": math.Tan, "Asin": math.Asin, "Acos": math.Acos, "Atan": math.Atan,
	"Sinh": math.Sinh, "Cosh": math.Cosh, "Asinh": math.Asinh, "Acosh": math.Acosh, "Atanh": math.Atanh,
	"Reciprocal": func(x float64) float64 { return 1 / x },
	"Softsign":   func(x float64) float64 { return x / (1 + math.Abs(x)) },
	"Mish":       func(x float64) float64 { return x * math.Tanh(softplus(x)) },
	"HardSwish":  func(x float64) float64 { return x * math.Max(0, math.Min(1, x/6+0.5)) },
	"Gelu":       func(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) },
	"GeluTanh": func(x float64) float64 {
		return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	},
	"Not":     func(x float64) float64 { return truth(x == 0) },
	"NonZero": func(x float64) float64 { return truth(x != 0) },
	"IsNaN":   func(x float64) float64 { return truth(x != x) },
	"Sign": func(x float64) float64 {
		switch {
		case x > 0:
			return 1
		case x < 0:
			return -1
		}
		return x
	},
	"BFloat": func(x float64) float64 { return float64(roundBFloat(float32(x))) },
}

// parametric are the functions with parameters. The table is never written.
var parametric = map[string]func(x, a, b float64) float64{
	"Celu": func(x, a, _ float64) float64 { return math.Max(0, x) + math.Min(0, a*math.Expm1(x/a)) },
	"Selu": func(x, a, b float64) float64 {
		if x > 0 {
			return b * x
		}
		return b * a * math.Expm1(x)
	},
	"Shrink": func(x, bias, lambda float64) float64 {
		switch {
		case x < -lambda:
			return x + bias
		case x > lambda:
			return x - bias
		}
		return 0
	},
	"ThresholdedRelu": func(x, a, _ float64) float64 {
		if x > a {
			return x
		}
		return 0
	},
	"Swish": func(x, a, _ float64) float64 { return x / (1 + math.Exp(-a*x)) },
	"IsInf": func(x, positive, negative float64) float64 {
		return truth(positive != 0 && math.IsInf(x, 1) || negative != 0 && math.IsInf(x, -1))
	},
}

func softplus(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// truth is how a truth value is kept as a number.
func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// roundBFloat keeps the 8 highest bits of a number's fraction, to even.
func roundBFloat(x float32) float32 {
	b := math.Float32bits(x)
	if x != x {
		return x
	}
	b += 0x7fff + b>>16&1
	return math.Float32frombits(b &^ 0xffff)
}
