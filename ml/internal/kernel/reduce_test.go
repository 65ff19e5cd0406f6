package kernel

import (
	"math"
	"testing"
)

func TestReductions(t *testing.T) {
	r := random(t)
	for n := range 40 {
		a, b := normal(r, n), normal(r, n)
		var sum, product, squares float64
		for i := range a {
			x, y := float64(a[i]), float64(b[i])
			sum, product, squares = sum+x, product+x*y, squares+x*x
		}
		closeTo(t, "sum, dot", []float32{Sum(a), Dot(a, b)}, []float64{sum, product}, 1e-6, 1)
		closeTo(t, "squares", []float32{float32(SumSquares(a))}, []float64{squares}, 1e-6, 1)
	}
}

// Every level adds up in the same order: the bits of the portable loops.
func TestSumsEqualPortable(t *testing.T) {
	r := random(t)
	for n := range 70 {
		x, g := normal(r, n), normal(r, n)
		for name, f := range map[string]func(s *sums, l Level){
			"add":    func(s *sums, l Level) { s.add(l, x) },
			"dot":    func(s *sums, l Level) { s.dot(l, x, g) },
			"square": func(s *sums, l Level) { s.square(l, x, 0.3) },
			"grad":   func(s *sums, l Level) { s.grad(l, x, g, 0.3) },
		} {
			var want sums
			f(&want, Portable)
			f(&want, Portable)
			for _, l := range levels()[1:] {
				var got sums
				f(&got, l)
				f(&got, l)
				if got != want {
					t.Fatalf("%s: %s of %d elements gives sums %v, want exactly %v", l, name, n, got, want)
				}
			}
		}
	}
}

// The sum of many equal numbers is exact to a rounding, where a float32 accumulator
// would be off by percents.
func TestSumDoesNotDrift(t *testing.T) {
	closeTo(t, "sum", []float32{Sum(filled(1<<22, 0.1))}, []float64{0.1 * (1 << 22)}, 1e-7, 0)
}

func TestChannelsAndRows(t *testing.T) {
	r := random(t)
	for range 30 {
		n, c, inner := 1+r.IntN(4), 1+r.IntN(5), 1+r.IntN(40)
		x, bias := normal(r, n*c*inner), normal(r, c)
		y := append([]float32{}, x...)
		AddChannels(y, n, c, inner, bias)
		want, sums := make([]float64, len(x)), make([]float64, c)
		for i, v := range x {
			want[i] = float64(v) + float64(bias[i/inner%c])
			sums[i/inner%c] += float64(v)
		}
		closeTo(t, "channels", y, want, 1e-6, 1)
		out := make([]float32, c)
		SumChannels(out, x, n, c, inner)
		closeTo(t, "channel sums", out, sums, 1e-5, 1)

		// Rows are channels without an inner part.
		rows := n * inner
		y = append(y[:0], x...)
		AddBias(y, rows, c, bias)
		SumRows(out, x, rows, c)
		clear(sums)
		for i, v := range x {
			want[i] = float64(v) + float64(bias[i%c])
			sums[i%c] += float64(v)
		}
		closeTo(t, "rows", y, want, 1e-6, 1)
		closeTo(t, "row sums", out, sums, 1e-5, 1)
	}
}

func TestMaxIndex(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		x    []float32
		want int
	}{
		{nil, -1}, {[]float32{-inf, -inf}, 0}, {[]float32{1, 3, 3}, 1}, {[]float32{nan, -5, -2}, 2}, {[]float32{nan, nan}, 0}, {[]float32{2, nan, 1}, 0},
	} {
		if got := MaxIndex(c.x); got != c.want {
			t.Errorf("MaxIndex(%v) = %d, want %d", c.x, got, c.want)
		}
	}
}

func TestAllFinite(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		x    []float32
		want bool
	}{{nil, true}, {[]float32{0, math.MaxFloat32, -1e-40}, true}, {[]float32{1, nan}, false}, {[]float32{inf}, false}, {[]float32{0, -inf, 0}, false}} {
		if got := AllFinite(c.x); got != c.want {
			t.Errorf("AllFinite(%v) = %v, want %v", c.x, got, c.want)
		}
	}
}

func TestDiv(t *testing.T) {
	y := make([]float32, 3)
	Div(y, []float32{1, 6, -8}, []float32{2, 3, 4})
	sameBits(t, "quotient", y, []float32{0.5, 2, -2})
}
