package kernel

import (
	"math"
	"testing"
)

func TestRoundHalf(t *testing.T) {
	inf := float32(math.Inf(1))
	x := []float32{0, 1, -1, 0.1, 1 + 1./2048, 1 + 3./2048, 65504, 65519, -65520, 1e-8, 3e-8, -5.9604645e-8, 6.1e-5, 1.0 / 3, inf}
	want := []float32{0, 1, -1, 0.099975586, 1, 1 + 4./2048, 65504, 65504, -inf, 0, 5.9604645e-8, -5.9604645e-8, 6.0975552e-5, 0.33325195, inf}
	RoundHalf(x, x)
	for i, v := range want {
		if x[i] != v {
			t.Errorf("element %d is %v, want %v", i, x[i], v)
		}
	}
	nan := []float32{float32(math.NaN())}
	if RoundHalf(nan, nan); nan[0] == nan[0] {
		t.Errorf("NaN became %v", nan[0])
	}
}
