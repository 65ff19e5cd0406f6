package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
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

// made is everything that training makes of a batch at a level.
func (b *batchNorm) made(l Level) map[string][]float32 {
	size := b.n * b.c * b.inner
	out := map[string][]float32{}
	for _, name := range []string{"y", "gx", "scaled"} {
		out[name] = make([]float32, size)
	}
	for _, name := range []string{"mean", "variance", "invStd", "ggamma", "gbeta", "sumG", "sumXG"} {
		out[name] = make([]float32, b.c)
	}
	batchNormTrain(l, out["y"], b.x, b.gamma, b.beta, out["mean"], out["variance"], out["invStd"], b.n, b.c, b.inner, testEps)
	batchNormGrad(l, out["gx"], out["ggamma"], out["gbeta"], b.x, b.gy, b.gamma, out["mean"], out["invStd"], b.n, b.c, b.inner)
	channelGrad(l, out["scaled"], out["sumG"], out["sumXG"], b.x, b.gy, b.gamma, b.beta, b.n, b.c, b.inner)
	return out
}

// defined is the same by the definition, element by element in float64.
func (b *batchNorm) defined() map[string][]float64 {
	size, count := b.n*b.c*b.inner, float64(b.n*b.inner)
	out := map[string][]float64{}
	for _, name := range []string{"y", "gx", "scaled"} {
		out[name] = make([]float64, size)
	}
	for _, name := range []string{"mean", "variance", "invStd", "ggamma", "gbeta", "sumG", "sumXG"} {
		out[name] = make([]float64, b.c)
	}
	each := func(f func(i, j int, x, g float64)) {
		for i, x := range b.x {
			f(i, i/b.inner%b.c, float64(x), float64(b.gy[i]))
		}
	}
	each(func(_, j int, x, _ float64) { out["mean"][j] += x / count })
	each(func(_, j int, x, _ float64) {
		out["variance"][j] += (x - out["mean"][j]) * (x - out["mean"][j]) / count
	})
	for j, v := range out["variance"] {
		out["invStd"][j] = 1 / math.Sqrt(v+testEps)
	}
	hat := func(j int, x float64) float64 { return (x - out["mean"][j]) * out["invStd"][j] }
	each(func(i, j int, x, g float64) {
		out["y"][i] = hat(j, x)*float64(b.gamma[j]) + float64(b.beta[j])
		out["gbeta"][j] += g
		out["ggamma"][j] += g * hat(j, x)
		out["sumG"][j] += g
		out["sumXG"][j] += g * (x - float64(b.beta[j]))
		out["scaled"][i] = g * float64(b.gamma[j])
	})
	each(func(i, j int, x, g float64) {
		out["gx"][i] = float64(b.gamma[j]) * out["invStd"][j] * (g - out["gbeta"][j]/count - hat(j, x)*out["ggamma"][j]/count)
	})
	return out
}

// checkLevels holds every level against what the portable one made, bit for bit.
func (b *batchNorm) checkLevels(t *testing.T, want map[string][]float32) {
	t.Helper()
	for _, l := range levels()[1:] {
		for name, got := range b.made(l) {
			sameBits(t, fmt.Sprintf("%s, %dx%dx%d: %s", l, b.n, b.c, b.inner, name), got, want[name])
		}
	}
}

// Images, matrices and single rows, with pieces shorter and longer than vectors:
// every level gives the definition's values, and the bits of the portable one.
func TestBatchNormAtEveryLevel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5)) // always the same, since two rows may be alike by chance
	for _, s := range [][3]int{
		{1, 3, 1}, {1, 2, 50}, {2, 5, 1}, {33, 17, 1}, {100, 64, 1}, {6, 9, 4}, {5, 16, 15},
		{4, 3, 16}, {20, 3, 49}, {3, 4, 49}, {2, 3, 196}, {7, 1, 100},
	} {
		b := &batchNorm{n: s[0], c: s[1], inner: s[2]}
		size := b.n * b.c * b.inner
		b.x, b.gy, b.gamma, b.beta = normal(r, size), normal(r, size), normal(r, b.c), normal(r, b.c)
		for i := range b.x {
			b.x[i] += float32(i / b.inner % b.c % 5) // means
		}
		want, exact := b.made(Portable), b.defined()
		for name, w := range exact {
			tol := 1e-4
			if b.n*b.inner < 3 { // next to no deviation: its inverse makes roundings large
				tol = 1e-2
			}
			closeTo(t, fmt.Sprintf("%v: %s", s, name), want[name], w, tol, 1)
		}
		b.checkLevels(t, want)
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
