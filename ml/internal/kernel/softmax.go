package kernel

import "math"

// The arrays of this file are outer x axis x inner; the softmax runs over axis.
// For the last axis of a matrix, inner is 1.

// Softmax computes y = exp(x - max) / sum. y and x may be the same slice.
func Softmax(y, x []float32, outer, axis, inner int) {
	if inner == 1 {
		for i := range outer {
			softmaxRow(y[i*axis:(i+1)*axis], x[i*axis:(i+1)*axis])
		}
		return
	}
	for i := range outer * inner {
		base := i/inner*axis*inner + i%inner
		top := stridedMax(x, base, axis, inner)
		var sum float32
		for j := range axis {
			e := exp32(x[base+j*inner] - top)
			y[base+j*inner] = e
			sum += e
		}
		for j := range axis {
			y[base+j*inner] /= sum
		}
	}
}

func softmaxRow(y, x []float32) {
	top := stridedMax(x, 0, len(x), 1)
	var sum float32
	for j, v := range x {
		e := exp32(v - top)
		y[j] = e
		sum += e
	}
	Scale(y, 1/sum)
}

// LogSoftmax computes y = x - max - log(sum(exp(x - max))). y and x may be the
// same slice.
func LogSoftmax(y, x []float32, outer, axis, inner int) {
	for i := range outer * inner {
		base := i/inner*axis*inner + i%inner
		shift := logSumExp(x, base, axis, inner)
		for j := range axis {
			y[base+j*inner] = x[base+j*inner] - shift
		}
	}
}

// LogSumExp computes out (outer x inner) = log(sum(exp(x))) over the axis.
func LogSumExp(out, x []float32, outer, axis, inner int) {
	for i := range outer * inner {
		out[i] = logSumExp(x, i/inner*axis*inner+i%inner, axis, inner)
	}
}

func logSumExp(x []float32, base, axis, inner int) float32 {
	top := stridedMax(x, base, axis, inner)
	var sum float32
	for j := range axis {
		sum += exp32(x[base+j*inner] - top)
	}
	return top + float32(math.Log(float64(sum)))
}

func stridedMax(x []float32, base, axis, inner int) float32 {
	top := float32(math.Inf(-1))
	for j := range axis {
		top = max(top, x[base+j*inner])
	}
	return top
}

// SoftmaxGrad computes gx = y*(gy - sum(gy*y)) from the forward result y.
func SoftmaxGrad(gx, y, gy []float32, outer, axis, inner int) {
	for i := range outer * inner {
		base := i/inner*axis*inner + i%inner
		var dot float32
		for j := range axis {
			dot += gy[base+j*inner] * y[base+j*inner]
		}
		for j := range axis {
			o := base + j*inner
			gx[o] = y[o] * (gy[o] - dot)
		}
	}
}

// LogSoftmaxGrad computes gx = gy - exp(y)*sum(gy) from the forward result y.
func LogSoftmaxGrad(gx, y, gy []float32, outer, axis, inner int) {
	for i := range outer * inner {
		base := i/inner*axis*inner + i%inner
		var sum float32
		for j := range axis {
			sum += gy[base+j*inner]
		}
		for j := range axis {
			o := base + j*inner
			gx[o] = gy[o] - exp32(y[o])*sum
		}
	}
}
