package kernel

import "math"

// The arrays of this file are outer x axis x inner; the softmax runs over axis.
// For the last axis of a matrix, inner is 1, and its rows are worked on as vectors.

// Softmax computes y = exp(x - max) / sum. y and x may be the same slice.
func Softmax(y, x []float32, outer, axis, inner int) {
	if inner == 1 {
		for i := range outer {
			softmaxRow(y[i*axis:(i+1)*axis], x[i*axis:(i+1)*axis])
		}
		return
	}
	size := axis * inner
	for i := range outer {
		if inner < narrow {
			softmaxNarrow(y[i*size:(i+1)*size], x[i*size:(i+1)*size], inner)
			continue
		}
		for from := 0; from < inner; from += chunk {
			softmaxColumns(y[i*size+from:(i+1)*size], x[i*size+from:(i+1)*size], min(chunk, inner-from), axis, inner)
		}
	}
}

// narrow is the number of columns from which on a row of them is worked on as a vector.
const narrow = 16

// softmaxNarrow does inner softmaxes side by side, fewer than narrow. Only their
// exponentials are worth a vector, which runs over all rows.
func softmaxNarrow(y, x []float32, inner int) {
	var top, sum [narrow]float32
	for j := range inner {
		top[j] = float32(math.Inf(-1))
	}
	for k := 0; k < len(x); k += inner {
		for j, v := range x[k:][:inner] {
			if v > top[j] {
				top[j] = v
			}
		}
	}
	for k := 0; k < len(x); k += inner {
		row := y[k:][:inner]
		for j, v := range x[k:][:inner] {
			row[j] = v - top[j]
		}
	}
	exp(active, y, y)
	for k := 0; k < len(y); k += inner {
		for j, v := range y[k:][:inner] {
			sum[j] += v
		}
	}
	for k := 0; k < len(y); k += inner {
		row := y[k:][:inner]
		for j := range row {
			row[j] /= sum[j]
		}
	}
}

// softmaxColumns does n softmaxes side by side, at most chunk.
func softmaxColumns(y, x []float32, n, axis, inner int) {
	var top, sum [chunk]float32
	for j := range n {
		top[j] = float32(math.Inf(-1))
	}
	for k := range axis {
		for j, v := range x[k*inner:][:n] {
			if v > top[j] {
				top[j] = v
			}
		}
	}
	for k := range axis {
		row := y[k*inner:][:n]
		sub(active, row, x[k*inner:], top[:n])
		exp(active, row, row)
		add(active, sum[:n], sum[:n], row)
	}
	for k := range axis {
		row := y[k*inner:][:n]
		div(active, row, row, sum[:n])
	}
}

func softmaxRow(y, x []float32) {
	affine(active, y, x, 1, -stridedMax(x, 0, len(x), 1))
	exp(active, y, y)
	scale(active, y, 1/sum32(y))
}

// LogSoftmax computes y = x - max - log(sum(exp(x - max))). y and x may be the
// same slice.
func LogSoftmax(y, x []float32, outer, axis, inner int) {
	for i := range outer * inner {
		base := i/inner*axis*inner + i%inner
		top, rest := logSumExp(x, base, axis, inner)
		for j := range axis {
			y[base+j*inner] = (x[base+j*inner] - top) - rest
		}
	}
}

// LogSumExp computes out (outer x inner) = log(sum(exp(x))) over the axis.
func LogSumExp(out, x []float32, outer, axis, inner int) {
	for i := range outer * inner {
		top, rest := logSumExp(x, i/inner*axis*inner+i%inner, axis, inner)
		out[i] = top + rest
	}
}

// logSumExp returns the logarithm in two parts, the maximum and what the others
// add: their sum would lose the small part beside a large maximum.
func logSumExp(x []float32, base, axis, inner int) (top, rest float32) {
	top = stridedMax(x, base, axis, inner)
	var sum float32
	if inner == 1 {
		sum = sumExp(x[base:base+axis], -top)
	} else {
		for j := range axis {
			sum += exp32(x[base+j*inner] - top)
		}
	}
	return top, float32(math.Log(float64(sum)))
}

// sumExp returns the sum of exp(x + shift), a buffer at a time.
func sumExp(x []float32, shift float32) (sum float32) {
	var buf [chunk]float32
	for len(x) > 0 {
		part := buf[:min(len(x), chunk)]
		affine(active, part, x, 1, shift)
		exp(active, part, part)
		sum += sum32(part)
		x = x[len(part):]
	}
	return sum
}

// chunk is the length of a buffer on the stack between two elementwise loops.
const chunk = 256

// sum32 adds up in float32, four partial sums side by side.
func sum32(x []float32) float32 {
	var s0, s1, s2, s3 float32
	for ; len(x) >= 4; x = x[4:] {
		s0 += x[0]
		s1 += x[1]
		s2 += x[2]
		s3 += x[3]
	}
	for _, v := range x {
		s0 += v
	}
	return (s0 + s1) + (s2 + s3)
}

// stridedMax returns the largest element, passing over NaNs: they show in the sum.
func stridedMax(x []float32, base, axis, inner int) float32 {
	top := float32(math.Inf(-1))
	for j := range axis {
		if v := x[base+j*inner]; v > top {
			top = v
		}
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
		if inner == 1 {
			subExp(gx[base:base+axis], gy[base:], y[base:], sum)
			continue
		}
		for j := range axis {
			o := base + j*inner
			gx[o] = gy[o] - exp32(y[o])*sum
		}
	}
}

// subExp computes gx = gy - exp(y)*sum, a buffer at a time.
func subExp(gx, gy, y []float32, sum float32) {
	var buf [chunk]float32
	for len(gx) > 0 {
		part := buf[:min(len(gx), chunk)]
		exp(active, part, y)
		scale(active, part, sum)
		sub(active, gx[:len(part)], gy, part)
		gx, gy, y = gx[len(part):], gy[len(part):], y[len(part):]
	}
}
