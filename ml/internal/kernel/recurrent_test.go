package kernel

import (
	"math"
	"testing"
)

func TestLSTM(t *testing.T) {
	r := random(t)
	for it := range 12 {
		n, units := 1+r.IntN(4), 1+r.IntN(40)
		size := n * units
		a, prev := normal(r, 4*size), normal(r, size)
		if it%3 == 0 {
			prev = nil
		}
		c, h, gates := make([]float32, size), make([]float32, size), make([]float32, 4*size)
		wantC, wantH := make([]float64, size), make([]float64, size)
		for i := range size {
			if prev != nil {
				wantC[i] = float64(prev[i]) * sigmoid64(float64(a[4*i+2]))
			}
			wantC[i] += math.Tanh(float64(a[4*i])) * sigmoid64(float64(a[4*i+1]))
			wantH[i] = sigmoid64(float64(a[4*i+3])) * math.Tanh(wantC[i])
		}
		LSTM(c, h, gates, a, prev, n, units)
		closeTo(t, "c", c, wantC, 1e-6, 1)
		closeTo(t, "h", h, wantH, 1e-6, 1)

		gc, gh := normal(r, size), normal(r, size)
		ga, gPrev := make([]float32, 4*size), make([]float32, size)
		LSTMGrad(ga, gPrev, gates, prev, c, gc, gh, n, units)
		loss := func() float64 {
			LSTM(c, h, nil, a, prev, n, units)
			return dot(c, gc) + dot(h, gh)
		}
		closeTo(t, "gradient by the gates", ga, gradient(loss, a), 5e-3, 1)
		if prev != nil {
			closeTo(t, "gradient by c", gPrev, gradient(loss, prev), 5e-3, 1)
		}
	}
}

func TestLSTMWithoutOutputGradients(t *testing.T) {
	r := random(t)
	a, gates, c, h := normal(r, 12), make([]float32, 12), make([]float32, 3), make([]float32, 3)
	LSTM(c, h, gates, a, nil, 1, 3)
	ga := filled(12, 1)
	LSTMGrad(ga, nil, gates, nil, c, nil, nil, 1, 3)
	closeTo(t, "gradient", ga, make([]float64, 12), 0, 0)
}

// filled returns n elements of v.
func filled(n int, v float32) []float32 {
	s := make([]float32, n)
	Fill(s, v)
	return s
}

func TestGRU(t *testing.T) {
	r := random(t)
	for it := range 12 {
		n, units := 1+r.IntN(3), 1+r.IntN(20)
		size := n * units
		xg, hg, prev := normal(r, 3*size), normal(r, 3*size), normal(r, size)
		if it%3 == 0 {
			prev = nil
		}
		h, gates := make([]float32, size), make([]float32, 3*size)
		want := make([]float64, size)
		for i := range size {
			o := i/units*3*units + i%units
			at := func(g int) (float64, float64) { return float64(xg[o+g*units]), float64(hg[o+g*units]) }
			xr, hr := at(0)
			xz, hz := at(1)
			xn, hn := at(2)
			z := sigmoid64(xz + hz)
			want[i] = (1 - z) * math.Tanh(xn+sigmoid64(xr+hr)*hn)
			if prev != nil {
				want[i] += z * float64(prev[i])
			}
		}
		GRU(h, gates, xg, hg, prev, n, units)
		closeTo(t, "h", h, want, 1e-6, 1)

		gh := normal(r, size)
		gxg, ghg, gPrev := make([]float32, 3*size), make([]float32, 3*size), make([]float32, size)
		GRUGrad(gxg, ghg, gPrev, gates, hg, prev, gh, n, units)
		loss := func() float64 {
			GRU(h, nil, xg, hg, prev, n, units)
			return dot(h, gh)
		}
		closeTo(t, "gradient by xg", gxg, gradient(loss, xg), 5e-3, 1)
		closeTo(t, "gradient by hg", ghg, gradient(loss, hg), 5e-3, 1)
		if prev != nil {
			closeTo(t, "gradient by h", gPrev, gradient(loss, prev), 5e-3, 1)
		}
	}
}

func TestBlend(t *testing.T) {
	r := random(t)
	z, a, b, gy := normal(r, 33), normal(r, 33), normal(r, 33), normal(r, 33)
	y := make([]float32, 33)
	loss := func() float64 {
		Blend(y, z, a, b)
		return dot(y, gy)
	}
	gz, ga, gb := make([]float32, 33), make([]float32, 33), make([]float32, 33)
	BlendGrad(gz, ga, gb, z, a, b, gy)
	closeTo(t, "gradient by z", gz, gradient(loss, z), 1e-3, 1)
	closeTo(t, "gradient by a", ga, gradient(loss, a), 1e-3, 1)
	closeTo(t, "gradient by b", gb, gradient(loss, b), 1e-3, 1)
}
