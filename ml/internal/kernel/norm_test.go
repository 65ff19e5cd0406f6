package kernel

import (
	"math"
	"testing"
)

type batchNorm struct {
	n, c, inner                   int
	x, gamma, beta                []float32
	y, mean, variance, invStd, gy []float32
}

const testEps = 2e-5

func (b *batchNorm) train() {
	BatchNormTrain(b.y, b.x, b.gamma, b.beta, b.mean, b.variance, b.invStd, b.n, b.c, b.inner, testEps)
}

func (b *batchNorm) loss() float64 {
	b.train()
	return dot(b.y, b.gy)
}

func TestBatchNorm(t *testing.T) {
	r := random(t)
	for range 10 {
		b := &batchNorm{n: 3 + r.IntN(4), c: 1 + r.IntN(4), inner: 1 + r.IntN(6)}
		size := b.n * b.c * b.inner
		b.x, b.gamma, b.beta, b.gy = normal(r, size), normal(r, b.c), normal(r, b.c), normal(r, size)
		b.y, b.mean, b.variance, b.invStd = make([]float32, size), make([]float32, b.c), make([]float32, b.c), make([]float32, b.c)
		b.train()
		for j := range b.c {
			var sum, sq float64
			for i := range b.n * b.inner {
				v := float64(b.x[(i/b.inner*b.c+j)*b.inner+i%b.inner])
				sum, sq = sum+v, sq+v*v
			}
			count := float64(b.n * b.inner)
			closeTo(t, "mean", b.mean[j:j+1], []float64{sum / count}, 1e-5, 1)
			closeTo(t, "variance", b.variance[j:j+1], []float64{sq/count - sum/count*sum/count}, 1e-5, 1)
		}
		trained, inferred := append([]float32{}, b.y...), make([]float32, size)
		BatchNormInfer(inferred, b.x, b.gamma, b.beta, b.mean, b.variance, b.n, b.c, b.inner, testEps)
		closeTo(t, "inference with the batch's statistics", inferred, widen(trained), 1e-4, 1)

		gx, gg, gb := make([]float32, size), make([]float32, b.c), make([]float32, b.c)
		BatchNormGrad(gx, gg, gb, b.x, b.gy, b.gamma, b.mean, b.invStd, b.n, b.c, b.inner)
		closeTo(t, "gradient by x", gx, gradient(b.loss, b.x), 2e-2, 1)
		closeTo(t, "gradient by gamma", gg, gradient(b.loss, b.gamma), 1e-2, 1)
		closeTo(t, "gradient by beta", gb, gradient(b.loss, b.beta), 1e-2, 1)
	}
}

func TestFoldBatchNorm(t *testing.T) {
	r := random(t)
	s := ConvShape{N: 2, C: 3, H: 6, W: 5, OC: 7, KH: 3, KW: 3, StrideH: 1, StrideW: 1}
	p := planConv(s)
	x, w, bias := normal(r, s.N*p.in()), normal(r, s.OC*p.k), normal(r, s.OC)
	gamma, beta, mean, variance := normal(r, 7), normal(r, 7), normal(r, 7), normal(r, 7)
	for i, v := range variance {
		variance[i] = float32(math.Abs(float64(v))) + 0.5
	}
	want, got := make([]float32, s.N*s.OC*p.out), make([]float32, s.N*s.OC*p.out)
	Conv2D(s, x, w, bias, want)
	BatchNormInfer(want, want, gamma, beta, mean, variance, s.N, s.OC, p.out, testEps)
	FoldBatchNorm(w, bias, gamma, beta, mean, variance, testEps)
	Conv2D(s, x, w, bias, got)
	closeTo(t, "folded", got, widen(want), 1e-4, 1)
}

func TestBatchNormOfConstantChannel(t *testing.T) {
	x, y := []float32{4, 4, 4, 4}, make([]float32, 4)
	stats := make([]float32, 3)
	BatchNormTrain(y, x, []float32{2}, []float32{0.5}, stats[:1], stats[1:2], stats[2:], 4, 1, 1, testEps)
	closeTo(t, "constant", y, []float64{0.5, 0.5, 0.5, 0.5}, 1e-6, 1)
}
