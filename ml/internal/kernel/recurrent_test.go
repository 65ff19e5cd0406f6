package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
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

// cells run every cell at a level on slices drawn from a source: states and
// gradients that are nil now and then, as the mode's bits say. They return what was
// written.
func cells(l Level, r *rand.Rand, n, units int, mode byte) map[string][]float32 {
	size := n * units
	some := func(bit byte, x []float32) []float32 {
		if mode>>bit&1 != 0 {
			return nil
		}
		return x
	}
	a, hg, prev := normal(r, 4*size), normal(r, 3*size), some(0, normal(r, size))
	gc, gh := some(1, normal(r, size)), some(2, normal(r, size))
	out := map[string][]float32{}
	made := func(name string, n int) []float32 {
		out[name] = filled(n, 7)
		return out[name]
	}
	c, h, gates := made("c", size), made("h", size), made("gates", 4*size)
	lstm(l, c, h, gates, a, prev, size)
	lstm(l, made("c alone", size), made("h alone", size), nil, a, prev, size)
	lstmGrad(l, made("ga", 4*size), some(3, made("gc", size)), gates, prev, c, gc, gh, size)
	gruGates := made("gru gates", 3*size)
	gru(l, made("gru", size), gruGates, a[:3*size], hg, prev, n, units)
	gru(l, made("gru alone", size), nil, a[:3*size], hg, prev, n, units)
	gruGrad(l, made("gxg", 3*size), made("ghg", 3*size), made("gh", size), gruGates, hg, prev, normal(r, size), n, units)

	// In place, as the cells may be used.
	if prev != nil && gc != nil {
		c, h, q := slices.Clone(prev), slices.Clone(prev), slices.Clone(a)
		lstm(l, c, made("h in place", size), q, q, c, size)
		lstmGrad(l, q, gc, q, prev, c, gc, gh, size)
		gru(l, h, nil, a[:3*size], hg, h, n, units)
		out["c in place"], out["ga in place"], out["gc in place"], out["gru in place"] = c, q, gc, h
	}
	return out
}

func checkCells(t *testing.T, seed uint64, n, units int, mode byte) {
	t.Helper()
	want := cells(Portable, rand.New(rand.NewPCG(seed, 3)), n, units, mode)
	for _, l := range levels()[1:] {
		for name, got := range cells(l, rand.New(rand.NewPCG(seed, 3)), n, units, mode) {
			sameBits(t, fmt.Sprintf("%s: %s of %dx%d, mode %b", l, name, n, units, mode), got, want[name])
		}
	}
}

// Every level gives the bits of the portable cells, in place too.
func TestCellsEqualPortable(t *testing.T) {
	r := random(t)
	for range 60 {
		checkCells(t, r.Uint64(), 1+r.IntN(3), 1+r.IntN(90), byte(r.Uint32()))
	}
	for mode := range byte(16) {
		checkCells(t, r.Uint64(), 2, chunk+33, mode) // more than what stands for nil
	}
}

// In place is what it is elsewhere.
func TestCellsInPlace(t *testing.T) {
	out := cells(active, random(t), 2, 37, 0)
	for in, elsewhere := range map[string]string{"c in place": "c", "h in place": "h", "ga in place": "ga", "gc in place": "gc", "gru in place": "gru"} {
		sameBits(t, in, out[in], out[elsewhere])
	}
	sameBits(t, "c without gates", out["c alone"], out["c"])
	sameBits(t, "h without gates", out["h alone"], out["h"])
	sameBits(t, "GRU without gates", out["gru alone"], out["gru"])
}
