package kernel

import "math"

// Activation names a function that a packed product applies to its result.
type Activation uint8

// The activations that can be fused. ReLU and ReLU6 cost nothing; the others are one
// more pass over the result while it is in the cache.
const (
	Identity Activation = iota
	ReLUActivation
	ReLU6Activation     // min(max(x, 0), 6)
	LeakyReLUActivation // slope 0.2, Chainer's default
	SigmoidActivation
	TanhActivation
)

// tileFlags are those that make micro-kernels apply the activation, 0 if they can't.
func (a Activation) tileFlags() int {
	switch a {
	case ReLUActivation:
		return tileReLU
	case ReLU6Activation:
		return tileReLU | tileSix
	}
	return 0
}

// inTiles tells whether micro-kernels apply all of the activation.
func (a Activation) inTiles() bool { return a == Identity || a.tileFlags() != 0 }

// Apply computes y = f(x) elementwise. y and x may be the same slice.
func (a Activation) Apply(y, x []float32) { a.apply(active, y, x) }

func (a Activation) apply(l Level, y, x []float32) {
	switch a {
	case ReLUActivation:
		relu(l, y, x)
	case ReLU6Activation:
		clip(l, y, x, 0, 6)
	case LeakyReLUActivation:
		leakyReLU(l, y, x, 0.2)
	case SigmoidActivation:
		sigmoid(l, y, x)
	case TanhActivation:
		tanh(l, y, x)
	default:
		copy(y, x)
	}
}

// The forward functions compute y from x; the Grad functions compute gx, the
// gradient of the loss by x, from gy and from what the forward pass left. Every
// slice has at least the length of the first argument, which may be the same
// slice as any of the others.

// ReLU computes y = max(x, 0). A NaN stays a NaN.
func ReLU(y, x []float32) { relu(active, y, x) }

func relu(l Level, y, x []float32) {
	x = x[:len(y)]
	for i := reluVec(l, y, x); i < len(y); i++ {
		y[i] = max(x[i], 0)
	}
}

// ReLUGrad computes gx = gy where y > 0, else 0.
func ReLUGrad(gx, y, gy []float32) { reluGrad(active, gx, y, gy) }

func reluGrad(l Level, gx, y, gy []float32) {
	y, gy = y[:len(gx)], gy[:len(gx)]
	for i := reluGradVec(l, gx, y, gy); i < len(gx); i++ {
		g := gy[i]
		if y[i] <= 0 {
			g = 0
		}
		gx[i] = g
	}
}

// LeakyReLU computes y = x where x >= 0, else slope*x.
func LeakyReLU(y, x []float32, slope float32) { leakyReLU(active, y, x, slope) }

func leakyReLU(l Level, y, x []float32, slope float32) {
	x = x[:len(y)]
	for i := leakyReLUVec(l, y, x, slope); i < len(y); i++ {
		v := x[i]
		if v < 0 {
			v *= slope
		}
		y[i] = v
	}
}

// PReLU computes y = x where x >= 0, else slopes*x, element by element.
func PReLU(y, x, slopes []float32) { prelu(active, y, x, slopes) }

func prelu(l Level, y, x, slopes []float32) {
	x, slopes = x[:len(y)], slopes[:len(y)]
	for i := preluVec(l, y, x, slopes); i < len(y); i++ {
		v := x[i]
		if v < 0 {
			v *= slopes[i]
		}
		y[i] = v
	}
}

// LeakyReLUGrad computes gx = gy where x >= 0, else slope*gy.
func LeakyReLUGrad(gx, x, gy []float32, slope float32) {
	x, gy = x[:len(gx)], gy[:len(gx)]
	for i := range gx {
		g := gy[i]
		if x[i] < 0 {
			g *= slope
		}
		gx[i] = g
	}
}

// ELU computes y = x where x >= 0, else alpha*(exp(x)-1).
func ELU(y, x []float32, alpha float32) {
	x = x[:len(y)]
	for i, v := range x {
		if v < 0 {
			v = alpha * float32(math.Expm1(float64(v)))
		}
		y[i] = v
	}
}

// ELUGrad computes gx from the forward result y: gy where y >= 0, else
// gy*(y+alpha).
func ELUGrad(gx, y, gy []float32, alpha float32) {
	y, gy = y[:len(gx)], gy[:len(gx)]
	for i := range gx {
		g := gy[i]
		if y[i] < 0 {
			g *= y[i] + alpha
		}
		gx[i] = g
	}
}

// Sigmoid computes y = 1/(1+exp(-x)).
func Sigmoid(y, x []float32) { sigmoid(active, y, x) }

func sigmoid(l Level, y, x []float32) {
	x = x[:len(y)]
	for i := sigmoidVec(l, y, x); i < len(y); i++ {
		y[i] = sigmoid32(x[i])
	}
}

// SigmoidGrad computes gx = gy*y*(1-y).
func SigmoidGrad(gx, y, gy []float32) {
	y, gy = y[:len(gx)], gy[:len(gx)]
	for i := range gx {
		gx[i] = gy[i] * y[i] * (1 - y[i])
	}
}

// Tanh computes y = tanh(x).
func Tanh(y, x []float32) { tanh(active, y, x) }

func tanh(l Level, y, x []float32) {
	x = x[:len(y)]
	for i := tanhVec(l, y, x); i < len(y); i++ {
		y[i] = tanh32(x[i])
	}
}

// TanhGrad computes gx = gy*(1-y*y).
func TanhGrad(gx, y, gy []float32) {
	y, gy = y[:len(gx)], gy[:len(gx)]
	for i := range gx {
		gx[i] = gy[i] * (1 - y[i]*y[i])
	}
}

// Softplus computes y = log(1+exp(beta*x))/beta without overflow.
func Softplus(y, x []float32, beta float32) {
	x = x[:len(y)]
	b := float64(beta)
	for i, v := range x {
		bx := b * float64(v)
		y[i] = float32((max(bx, 0) + math.Log1p(math.Exp(-math.Abs(bx)))) / b)
	}
}

// SoftplusGrad computes gx = gy*sigmoid(beta*x).
func SoftplusGrad(gx, x, gy []float32, beta float32) {
	x, gy = x[:len(gx)], gy[:len(gx)]
	for i := range gx {
		gx[i] = gy[i] * sigmoid32(beta*x[i])
	}
}

// ClippedReLU computes y = min(max(x, 0), z).
func ClippedReLU(y, x []float32, z float32) { clip(active, y, x, 0, z) }

// Clip computes y = min(max(x, low), high).
func Clip(y, x []float32, low, high float32) { clip(active, y, x, low, high) }

func clip(l Level, y, x []float32, low, high float32) {
	x = x[:len(y)]
	for i := clipVec(l, y, x, low, high); i < len(y); i++ {
		v := x[i]
		if v < low { // a zero keeps its sign, as in vectors
			v = low
		}
		if v > high {
			v = high
		}
		y[i] = v
	}
}

// ClippedReLUGrad computes gx = gy where 0 < x < z, else 0.
func ClippedReLUGrad(gx, x, gy []float32, z float32) {
	x, gy = x[:len(gx)], gy[:len(gx)]
	for i := range gx {
		g := gy[i]
		if x[i] <= 0 || x[i] >= z {
			g = 0
		}
		gx[i] = g
	}
}

// HardSigmoid computes y = min(max(0.2*x+0.5, 0), 1).
func HardSigmoid(y, x []float32) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = min(max(0.2*v+0.5, 0), 1)
	}
}

// HardSigmoidGrad computes gx = 0.2*gy where -2.5 < x < 2.5, else 0.
func HardSigmoidGrad(gx, x, gy []float32) {
	x, gy = x[:len(gx)], gy[:len(gx)]
	for i := range gx {
		g := 0.2 * gy[i]
		if x[i] <= -2.5 || x[i] >= 2.5 {
			g = 0
		}
		gx[i] = g
	}
}
