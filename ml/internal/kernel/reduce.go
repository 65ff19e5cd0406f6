package kernel

import "math"

// Sum returns the sum of x, accumulated in float64 so that its error doesn't grow
// with the length.
func Sum(x []float32) float32 {
	var s0, s1, s2, s3 float64
	for ; len(x) >= 4; x = x[4:] {
		s0 += float64(x[0])
		s1 += float64(x[1])
		s2 += float64(x[2])
		s3 += float64(x[3])
	}
	for _, v := range x {
		s0 += float64(v)
	}
	return float32((s0 + s1) + (s2 + s3))
}

// Dot returns the sum of a[i]*b[i], accumulated in float64. b is at least as long
// as a.
func Dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1 float64
	i := 0
	for ; i+1 < len(a); i += 2 {
		s0 += float64(a[i]) * float64(b[i])
		s1 += float64(a[i+1]) * float64(b[i+1])
	}
	if i < len(a) {
		s0 += float64(a[i]) * float64(b[i])
	}
	return float32(s0 + s1)
}

// SumSquares returns the sum of squares of x in float64, for norms over several
// slices (gradient clipping).
func SumSquares(x []float32) float64 {
	var s0, s1 float64
	i := 0
	for ; i+1 < len(x); i += 2 {
		a, b := float64(x[i]), float64(x[i+1])
		s0 += a * a
		s1 += b * b
	}
	if i < len(x) {
		a := float64(x[i])
		s0 += a * a
	}
	return s0 + s1
}

// MaxIndex returns the position of the largest element, the first one of several,
// or -1 for an empty slice. NaNs are passed over unless all are NaN, which gives 0.
func MaxIndex(x []float32) int {
	best, at := float32(math.Inf(-1)), -1
	for i, v := range x {
		if at < 0 || v > best {
			if v == v {
				best = v
			}
			at = i
		}
	}
	return at
}

// AddBias adds bias (cols long) to each of the rows of y.
func AddBias(y []float32, rows, cols int, bias []float32) {
	for i := range rows {
		row := y[i*cols : (i+1)*cols]
		Add(row, row, bias)
	}
}

// SumRows computes out[j] = sum over rows of x[i][j], the gradient of AddBias.
func SumRows(out, x []float32, rows, cols int) {
	out = out[:cols]
	clear(out)
	for i := range rows {
		Add(out, out, x[i*cols:(i+1)*cols])
	}
}

// AddChannels adds bias[c] to every element of channel c of the n x c x inner
// array y.
func AddChannels(y []float32, n, c, inner int, bias []float32) {
	for i := range n * c {
		shift(active, y[i*inner:(i+1)*inner], bias[i%c])
	}
}

// SumChannels computes out[c] = the sum over channel c of the n x c x inner array
// x, the gradient of AddChannels.
func SumChannels(out, x []float32, n, c, inner int) {
	for j := range c {
		var s float64
		for i := range n {
			s += float64(Sum(x[(i*c+j)*inner:][:inner]))
		}
		out[j] = float32(s)
	}
}
