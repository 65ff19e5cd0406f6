package kernel

import "math"

// The functions below work elementwise on slices of at least len(y) elements; y
// may be one of the inputs.

// Add computes y = a + b.
func Add(y, a, b []float32) { add(active, y, a, b) }

func add(l Level, y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := addVec(l, y, a, b); i < len(y); i++ {
		y[i] = a[i] + b[i]
	}
}

// Sub computes y = a - b.
func Sub(y, a, b []float32) { sub(active, y, a, b) }

func sub(l Level, y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := subVec(l, y, a, b); i < len(y); i++ {
		y[i] = a[i] - b[i]
	}
}

// Mul computes y = a * b.
func Mul(y, a, b []float32) { mul(active, y, a, b) }

func mul(l Level, y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := mulVec(l, y, a, b); i < len(y); i++ {
		y[i] = a[i] * b[i]
	}
}

// Div computes y = a / b.
func Div(y, a, b []float32) { div(active, y, a, b) }

func div(l Level, y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := divVec(l, y, a, b); i < len(y); i++ {
		y[i] = a[i] / b[i]
	}
}

// Sqrt computes the square root of x.
func Sqrt(y, x []float32) { sqrt(active, y, x) }

func sqrt(l Level, y, x []float32) {
	x = x[:len(y)]
	for i := sqrtVec(l, y, x); i < len(y); i++ {
		y[i] = sqrt32(x[i])
	}
}

// Axpy computes y += alpha*x.
func Axpy(y []float32, alpha float32, x []float32) { axpy(active, y, alpha, x) }

func axpy(l Level, y []float32, alpha float32, x []float32) {
	x = x[:len(y)]
	for i := axpyVec(l, y, x, alpha); i < len(y); i++ {
		y[i] += float32(alpha * x[i])
	}
}

// Scale computes y *= alpha.
func Scale(y []float32, alpha float32) { scale(active, y, alpha) }

func scale(l Level, y []float32, alpha float32) {
	for i := scaleVec(l, y, alpha); i < len(y); i++ {
		y[i] *= alpha
	}
}

// shift adds b to every element.
func shift(l Level, y []float32, b float32) {
	for i := shiftVec(l, y, b); i < len(y); i++ {
		y[i] += b
	}
}

// Affine computes y = a*x + b.
func Affine(y, x []float32, a, b float32) { affine(active, y, x, a, b) }

func affine(l Level, y, x []float32, a, b float32) {
	x = x[:len(y)]
	for i := affineVec(l, y, x, a, b); i < len(y); i++ {
		y[i] = float32(a*x[i]) + b
	}
}

// Fill sets every element to v.
func Fill(y []float32, v float32) {
	for i := range y {
		y[i] = v
	}
}

// Exp computes y = e**x, within 2 ulp.
func Exp(y, x []float32) { exp(active, y, x) }

func exp(l Level, y, x []float32) {
	x = x[:len(y)]
	for i := expVec(l, y, x); i < len(y); i++ {
		y[i] = exp32(x[i])
	}
}

// AllFinite reports whether x holds no NaN and no infinity.
func AllFinite(x []float32) bool {
	const exponent = 0xff << 23
	for _, v := range x {
		if math.Float32bits(v)&exponent == exponent {
			return false
		}
	}
	return true
}
