package nn

import (
	"math"
	"math/rand/v2"
)

// Initializer fills a new parameter.
type Initializer interface {
	// Fill writes every element of data, an array of the given shape. Random
	// numbers come from r alone.
	Fill(data []float32, shape []int, r *rand.Rand)
}

// InitializerFunc makes a function an [Initializer].
type InitializerFunc func(data []float32, shape []int, r *rand.Rand)

// Fill calls f.
func (f InitializerFunc) Fill(data []float32, shape []int, r *rand.Rand) { f(data, shape, r) }

// Constant fills with one value.
func Constant(value float32) Initializer {
	return InitializerFunc(func(data []float32, _ []int, _ *rand.Rand) {
		for i := range data {
			data[i] = value
		}
	})
}

// Values copies given values; there must be as many as elements, further
// elements become 0.
func Values(values []float32) Initializer {
	return InitializerFunc(func(data []float32, _ []int, _ *rand.Rand) {
		clear(data[copy(data, values):])
	})
}

// Normal draws from a normal distribution with mean 0 and the given standard
// deviation.
func Normal(scale float64) Initializer {
	return InitializerFunc(func(data []float32, _ []int, r *rand.Rand) { fillNormal(data, scale, r) })
}

// Uniform draws uniformly from [-scale, scale).
func Uniform(scale float64) Initializer {
	return InitializerFunc(func(data []float32, _ []int, r *rand.Rand) { fillUniform(data, scale, r) })
}

// LeCunNormal draws from a normal distribution of standard deviation
// sqrt(1/fan-in), Chainer's default for weights (LeCun et al., Efficient
// BackProp, 1998).
func LeCunNormal() Initializer { return scaledNormal(1) }

// HeNormal draws from a normal distribution of standard deviation
// sqrt(2/fan-in), which suits ReLU (He et al., arXiv:1502.01852).
func HeNormal() Initializer { return scaledNormal(2) }

// GlorotUniform draws uniformly from ±sqrt(6/(fan-in + fan-out)) (Glorot and
// Bengio, AISTATS 2010).
func GlorotUniform() Initializer {
	return InitializerFunc(func(data []float32, shape []int, r *rand.Rand) {
		in, out := fans(shape)
		fillUniform(data, math.Sqrt(6/float64(in+out)), r)
	})
}

func scaledNormal(gain float64) Initializer {
	return InitializerFunc(func(data []float32, shape []int, r *rand.Rand) {
		in, _ := fans(shape)
		fillNormal(data, math.Sqrt(gain/float64(in)), r)
	})
}

// fans returns how many inputs an output element of a weight array sums, and
// how many outputs an input element reaches: W is (out, in) or (out, in, kh, kw).
func fans(shape []int) (in, out int) {
	if len(shape) < 2 {
		n := sizeOf(shape)
		return n, n
	}
	return sizeOf(shape[1:]), shape[0] * sizeOf(shape[2:])
}

func fillNormal(data []float32, scale float64, r *rand.Rand) {
	for i := range data {
		data[i] = float32(r.NormFloat64() * scale)
	}
}

func fillUniform(data []float32, scale float64, r *rand.Rand) {
	for i := range data {
		data[i] = float32((2*r.Float64() - 1) * scale)
	}
}
