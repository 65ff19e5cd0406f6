package kernel

import "math"

// The functions below work elementwise on slices of at least len(y) elements; y
// may be one of the inputs.

// Add computes y = a + b.
func Add(y, a, b []float32) { add(active, y, a, b) }

func add(_ Level, y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] + b[i]
	}
}

// Sub computes y = a - b.
func Sub(y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] - b[i]
	}
}

// Mul computes y = a * b.
func Mul(y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] * b[i]
	}
}

// Div computes y = a / b.
func Div(y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = a[i] / b[i]
	}
}

// Axpy computes y += alpha*x.
func Axpy(y []float32, alpha float32, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] += alpha * x[i]
	}
}

// Scale computes y *= alpha.
func Scale(y []float32, alpha float32) {
	for i := range y {
		y[i] *= alpha
	}
}

// Fill sets every element to v.
func Fill(y []float32, v float32) {
	for i := range y {
		y[i] = v
	}
}

// Exp computes y = e**x, within 2 ulp.
func Exp(y, x []float32) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = exp32(v)
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
