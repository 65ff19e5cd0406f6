package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

func TestResponseNorm(t *testing.T) {
	r := random(t)
	for range 200 {
		c, pixels, half := 1+r.IntN(70), 1+r.IntN(5), r.IntN(5)
		x := normal(r, c*pixels)
		const k, alpha = 1.5, 0.3
		want := make([]float64, len(x))
		for i, v := range x {
			var sum float64
			for j := max(0, i%c-half); j <= min(c-1, i%c+half); j++ {
				sum += math.Pow(float64(x[i-i%c+j]), 2)
			}
			want[i] = float64(v) / math.Pow(k+alpha*sum, 0.75)
		}
		portable := make([]float32, len(x))
		responseNorm(Portable, portable, x, c, half, k, alpha)
		closeTo(t, "portable", portable, want, 1e-6, 1e-3)
		for _, l := range levels()[1:] {
			y := slices.Clone(x) // in place
			responseNorm(l, y, y, c, half, k, alpha)
			sameBits(t, fmt.Sprintf("%s, %d channels, %d around", l, c, half), y, portable)
		}
	}
}

func BenchmarkResponseNorm(b *testing.B) {
	for _, s := range [][2]int{{55 * 55, 96}, {56 * 56, 192}, {27 * 27, 256}} {
		x := normal(benchRandom(), s[0]*s[1])
		y := make([]float32, len(x))
		b.Run(fmt.Sprintf("%dx%d", s[0], s[1]), func(b *testing.B) {
			perElement(b, len(x), func() { ResponseNorm(y, x, s[1], 2, 1, 2e-5) })
		})
	}
}
