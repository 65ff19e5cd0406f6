package kernel

import (
	"fmt"
	"math"
	"testing"
)

// softmaxColumn returns the softmax of one column in float64 and its log of the sum.
func softmaxColumn(x []float32, base, axis, inner int) (p []float64, lse float64) {
	var sum float64
	for j := range axis {
		sum += math.Exp(float64(x[base+j*inner]))
	}
	for j := range axis {
		p = append(p, math.Exp(float64(x[base+j*inner]))/sum)
	}
	return p, math.Log(sum)
}

func TestSoftmax(t *testing.T) {
	r := random(t)
	for range 60 {
		outer, axis, inner := 1+r.IntN(4), 1+r.IntN(60), 1+r.IntN(20)
		if r.IntN(4) == 0 {
			inner = 1 + r.IntN(3*chunk)
		}
		n := outer * axis * inner
		x, gy := normal(r, n), normal(r, n)
		want, wantLog, wantG, wantGLog := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
		lses := make([]float64, outer*inner)
		for i := range outer * inner {
			base := i/inner*axis*inner + i%inner
			p, lse := softmaxColumn(x, base, axis, inner)
			lses[i] = lse
			var dotP, sumG float64
			for j := range axis {
				g := float64(gy[base+j*inner])
				dotP, sumG = dotP+g*p[j], sumG+g
			}
			for j := range axis {
				o := base + j*inner
				want[o], wantLog[o] = p[j], float64(x[o])-lse
				wantG[o], wantGLog[o] = p[j]*(float64(gy[o])-dotP), float64(gy[o])-p[j]*sumG
			}
		}
		y, gx, out := make([]float32, n), make([]float32, n), make([]float32, outer*inner)
		Softmax(y, x, outer, axis, inner)
		closeTo(t, "softmax", y, want, 2e-6, 0.1)
		SoftmaxGrad(gx, y, gy, outer, axis, inner)
		closeTo(t, "softmax gradient", gx, wantG, 1e-5, 1)
		LogSoftmax(y, x, outer, axis, inner)
		closeTo(t, "log softmax", y, wantLog, 2e-6, 1)
		LogSoftmaxGrad(gx, y, gy, outer, axis, inner)
		closeTo(t, "log softmax gradient", gx, wantGLog, 1e-5, 1)
		LogSumExp(out, x, outer, axis, inner)
		closeTo(t, "logsumexp", out, lses, 2e-6, 1)
	}
}

// Large arguments neither overflow nor make every class equal.
func TestSoftmaxOfLargeValues(t *testing.T) {
	y := make([]float32, 3)
	Softmax(y, []float32{1000, 999, -1000}, 1, 3, 1)
	closeTo(t, "softmax", y, []float64{0.7310586, 0.2689414, 0}, 1e-6, 1)
	LogSoftmax(y, []float32{1000, 999, -1000}, 1, 3, 1)
	closeTo(t, "log softmax", y, []float64{-0.3132617, -1.3132617, -2000.3132617}, 1e-6, 1)
}

// A row's softmax does not depend on the rows beside it.
func TestSoftmaxRowsAreIndependent(t *testing.T) {
	r := random(t)
	x := normal(r, 5*37)
	all, one := make([]float32, len(x)), make([]float32, 37)
	Softmax(all, x, 5, 37, 1)
	for i := range 5 {
		Softmax(one, x[i*37:(i+1)*37], 1, 37, 1)
		sameBits(t, "row", one, all[i*37:(i+1)*37])
	}
}

func BenchmarkSoftmax(b *testing.B) {
	for _, s := range [][3]int{{100, 10, 1}, {4096, 8, 2}, {64, 20, 4}, {512, 20, 7}, {64, 20, 9}, {64, 20, 16}, {4, 21, 1024}} {
		x := normal(benchRandom(), s[0]*s[1]*s[2])
		y := make([]float32, len(x))
		b.Run(fmt.Sprintf("%dx%dx%d", s[0], s[1], s[2]), func(b *testing.B) {
			perElement(b, len(x), func() { Softmax(y, x, s[0], s[1], s[2]) })
		})
	}
}
