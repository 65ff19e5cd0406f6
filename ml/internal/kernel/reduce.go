package kernel

import "math"

// Sum returns the sum of x, accumulated in float64 so that its error doesn't grow
// with the length.
func Sum(x []float32) float32 {
	if len(x) < lanes { // not worth sums side by side
		var s float64
		for _, v := range x {
			s += float64(v)
		}
		return float32(s)
	}
	var s sums
	s.add(active, x)
	return float32(s.total())
}

// Dot returns the sum of a[i]*b[i], accumulated in float64. b is at least as long
// as a.
func Dot(a, b []float32) float32 {
	return float32(product(a, b))
}

// SumSquares returns the sum of squares of x in float64, for norms over several
// slices (gradient clipping).
func SumSquares(x []float32) float64 {
	return product(x, x)
}

func product(a, b []float32) float64 {
	if len(a) < lanes { // not worth sums side by side
		var s float64
		for i, v := range a {
			s += float64(v) * float64(b[i]) // exact products
		}
		return s
	}
	var s sums
	s.dot(active, a, b)
	return s.total()
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
	if n > 1 && inner < lanes { // pieces too short for vectors
		s := getScratch()
		defer putScratch(s)
		x, n, inner = channelsFirst(active, grow(&s.a, n*c*inner), x, n), 1, n*inner
	}
	for j := range c {
		var s sums
		for i := range n {
			s.add(active, channel(x, i, j, c, inner))
		}
		out[j] = float32(s.total())
	}
}

// channel returns the part of an n x c x inner array that belongs to row i and
// channel j.
func channel(x []float32, i, j, c, inner int) []float32 {
	o := (i*c + j) * inner
	return x[o : o+inner]
}
