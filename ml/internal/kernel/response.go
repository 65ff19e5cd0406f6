package kernel

// ResponseNorm computes y = x / (k + alpha*s)^0.75 for pixels of c channels, channel
// beside channel, where s sums the squares of the half channels before, the channel
// itself and the half channels behind it (Krizhevsky et al. 2012, section 3.3). y may
// be x.
func ResponseNorm(y, x []float32, c, half int, k, alpha float32) {
	responseNorm(active, y, x, c, half, k, alpha)
}

func responseNorm(l Level, y, x []float32, c, half int, k, alpha float32) {
	x = x[:len(y)]
	s := getScratch()
	defer putScratch(s)
	squares := grow(&s.a, half+c+half) // with zeros on both sides
	clear(squares[:half])
	clear(squares[half+c:])
	for o := 0; o < len(y); o += c {
		pixel, result := x[o:o+c], y[o:o+c]
		mul(l, squares[half:half+c], pixel, pixel)
		for i := responseVec(l, result, pixel, squares, 2*half+1, alpha, k); i < c; i++ {
			var sum float32
			for _, v := range squares[i : i+2*half+1] {
				sum += v
			}
			root := sqrt32(float32(alpha*sum) + k)
			result[i] = pixel[i] / float32(root*sqrt32(root))
		}
	}
}
