package op

import (
	"math"
	"math/bits"
	"math/cmplx"

	"github.com/hibana-engine/hibana/ml/nn"
)

// DFT is the discrete Fourier transform of Length elements, of real numbers or of
// pairs (real, imaginary): of fewer, zeros follow; of more, the rest is left out.
// With Inverse it goes back, divided by Length. A OneSided one has, or inverse takes,
// only the first half of what is symmetric; back, its result is real. It is computed
// with float64. It has no gradient. Input x (N, n, 1 or 2); output (N, Length or
// Length/2+1, 2), or (N, Length, 1) back from one side.
type DFT struct {
	Length            int
	Inverse, OneSided bool
}

func (DFT) Name() string { return "DFT" }

// Rowwise says that it keeps signals apart.
func (DFT) Rowwise() {}

func (o DFT) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 1, "x"); err != nil {
		return nil, err
	}
	x := in[0].Shape
	if len(x) != 3 || x[2] < 1 || x[2] > 2 || o.Length < 1 {
		return nil, nn.ShapeErrorf("want x (N, n, 1 or 2) and a length of at least 1, not %d", o.Length)
	}
	switch {
	case o.OneSided && o.Inverse:
		return one(x[0], o.Length, 1), nil
	case o.OneSided:
		return one(x[0], o.Length/2+1, 2), nil
	}
	return one(x[0], o.Length, 2), nil
}

func (o DFT) Forward(c *nn.Call) error {
	x, y := c.In[0].Shape(), c.Out[0].Shape()
	sign := -2 * math.Pi / float64(o.Length)
	if o.Inverse {
		sign = -sign
	}
	turns := make([]complex128, o.Length)
	for i := range turns {
		turns[i] = cmplx.Rect(1, sign*float64(i))
	}
	signal, work := make([]complex128, o.Length), make([]complex128, o.Length)
	for n := range x[0] {
		o.read(signal, c.X(0)[n*x[1]*x[2]:][:x[1]*x[2]], x[2])
		work = transform(work, signal, turns)
		to := c.Y(0)[n*y[1]*y[2]:][:y[1]*y[2]]
		for i := range y[1] {
			v := work[i]
			if o.Inverse {
				v /= complex(float64(o.Length), 0)
			}
			if to[i*y[2]] = float32(real(v)); y[2] == 2 {
				to[i*2+1] = float32(imag(v))
			}
		}
	}
	return nil
}

// read fills the signal from one in the input's form.
func (o DFT) read(signal []complex128, x []float32, width int) {
	clear(signal)
	for i := range min(len(signal), len(x)/width) {
		im := 0.0
		if width == 2 {
			im = float64(x[i*2+1])
		}
		signal[i] = complex(float64(x[i*width]), im)
	}
	if !o.Inverse || !o.OneSided {
		return
	}
	half := len(signal) / 2
	signal[0] = complex(real(signal[0]), 0) // what isn't symmetric has no part in a real result
	if len(signal)%2 == 0 {
		signal[half] = complex(real(signal[half]), 0)
	}
	for i := half + 1; i < len(signal); i++ {
		signal[i] = cmplx.Conj(signal[len(signal)-i])
	}
}

// transform is the Fourier transform of x in y, by the roots of unity.
func transform(y, x, turns []complex128) []complex128 {
	n := len(x)
	if n&(n-1) == 0 {
		return fast(y, x, turns)
	}
	for k := range y {
		sum := complex(0, 0)
		for i, v := range x {
			sum += v * turns[i*k%n]
		}
		y[k] = sum
	}
	return y
}

// fast is transform for a power of two.
func fast(y, x, turns []complex128) []complex128 {
	n := len(x)
	shift := 64 - bits.TrailingZeros(uint(n))
	for i, v := range x {
		y[bits.Reverse64(uint64(i))>>shift] = v // a shift by 64, of one element, gives 0
	}
	for width := 2; width <= n; width *= 2 {
		half, step := width/2, n/width
		for at := 0; at < n; at += width {
			for k := range half {
				a, b := y[at+k], y[at+k+half]*turns[k*step]
				y[at+k], y[at+k+half] = a+b, a-b
			}
		}
	}
	return y
}

// Det is the determinant of matrices. It has no gradient. Input x (N, m, m); output
// (N).
type Det struct{}

func (Det) Name() string { return "Det" }

// Rowwise says that it keeps matrices apart.
func (Det) Rowwise() {}

func (Det) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 1, "x"); err != nil {
		return nil, err
	}
	if x := in[0].Shape; len(x) != 3 || x[1] != x[2] {
		return nil, nn.ShapeErrorf("want square matrices")
	}
	return one(in[0].Shape[0]), nil
}

func (Det) Forward(c *nn.Call) error {
	m := c.In[0].Shape()[1]
	a := make([]float64, m*m)
	for n := range c.Y(0) {
		for i, v := range c.X(0)[n*m*m:][:m*m] {
			a[i] = float64(v)
		}
		c.Y(0)[n] = float32(determinant(a, m))
	}
	return nil
}

// determinant eliminates with the largest pivot; a is changed.
func determinant(a []float64, m int) float64 {
	det := 1.0
	for k := range m {
		p := k
		for i := k + 1; i < m; i++ {
			if math.Abs(a[i*m+k]) > math.Abs(a[p*m+k]) {
				p = i
			}
		}
		if p != k {
			det = -det
			for j := range m {
				a[k*m+j], a[p*m+j] = a[p*m+j], a[k*m+j]
			}
		}
		pivot := a[k*m+k]
		if det *= pivot; pivot == 0 {
			return 0
		}
		for i := k + 1; i < m; i++ {
			f := a[i*m+k] / pivot
			for j := k; j < m; j++ {
				a[i*m+j] -= f * a[k*m+j]
			}
		}
	}
	return det
}
