package kernel

import "math"

// Constants of exp32: bounds just outside the range of a normal result, where the
// power of two that is put together bit by bit comes out as 0 or infinity; log2(e);
// ln 2 cut in two so that n*ln2Hi is exact for |n| < 2^9 (Cody and Waite,
// Software Manual for the Elementary Functions, 1980), and the coefficients of
// Cephes' expf (Moshier), a minimax polynomial on [-ln2/2, ln2/2].
const (
	expMax = 89
	expMin = -88
	log2e  = 1.44269504088896341
	ln2Hi  = 0.693359375
	ln2Lo  = -2.12194440e-4

	exp0 = 1.9875691500e-4
	exp1 = 1.3981999507e-3
	exp2 = 8.3334519073e-3
	exp3 = 4.1665795894e-2
	exp4 = 1.6666665459e-1
	exp5 = 5.0000001201e-1
)

// exp32 returns e**x within 2 ulp for x in (-87.3, 88.37), 0 below it and +Inf above
// it; a NaN gives a NaN.
func exp32(x float32) float32 {
	if x != x {
		return x
	}
	x = min(max(x, expMin), expMax)
	n := float32(math.Floor(float64(x*log2e + 0.5)))
	r := x - n*ln2Hi
	r -= n * ln2Lo
	p := float32(exp0)
	p = p*r + exp1
	p = p*r + exp2
	p = p*r + exp3
	p = p*r + exp4
	p = p*r + exp5
	p = p*r*r + r + 1
	return p * math.Float32frombits(uint32(int32(n)+127)<<23)
}

// sigmoid32 returns 1/(1+e**-x).
func sigmoid32(x float32) float32 { return 1 / (1 + exp32(-x)) }

// tanh32 returns tanh x. Near zero, where 1 - 2/(e**2x+1) cancels, it uses the
// odd polynomial of Cephes' tanhf.
func tanh32(x float32) float32 {
	if z := x * x; z < 0.390625 {
		p := float32(-5.70498872745e-3)
		p = p*z + 2.06390887954e-2
		p = p*z - 5.37397155531e-2
		p = p*z + 1.33314422036e-1
		p = p*z - 3.33332819422e-1
		return p*z*x + x
	}
	return 1 - 2/(exp32(2*x)+1)
}
