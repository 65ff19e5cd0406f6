package kernel

import (
	"testing"

	"github.com/hibana-engine/hibana/ml/internal/race"
)

// Hot paths don't allocate once the scratch pool is warm.
func TestNoAllocations(t *testing.T) {
	if race.On {
		t.Skip("under the race detector sync.Pool drops buffers on purpose; make test runs this without it")
	}
	r := random(t)
	s := ConvShape{N: 2, C: 8, H: 12, W: 12, OC: 40, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}
	p := planConv(s)
	x, w, bias := normal(r, s.N*p.in()), normal(r, s.OC*p.k), normal(r, s.OC)
	y, gx, gw := make([]float32, s.N*s.OC*p.out), make([]float32, len(x)), make([]float32, len(w))
	conv, err := PackConv(s, w, bias, ReLUActivation, &PoolShape{KH: 3, KW: 3, StrideH: 2, StrideW: 2})
	if err != nil {
		t.Fatal(err)
	}
	deep := ConvShape{C: 8, H: 12, W: 12, OC: 8, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, Groups: 8, N: 2}
	depthwise, err := PackConv(deep, w[:72], bias[:8], TanhActivation, nil)
	if err != nil {
		t.Fatal(err)
	}
	depthwise.Then(func(y []float32) { Scale(y, 2) })
	padded := packed(t, ConvShape{C: 32, H: 66, W: 64, OC: 16, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}, nil)
	if !padded.padsBands(active) {
		t.Error("the image is padded as a whole")
	}
	pooled := packed(t, ConvShape{C: 32, H: 100, W: 90, OC: 16, KH: 3, KW: 3, StrideH: 1, StrideW: 1}, &PoolShape{KH: 2, KW: 2, StrideH: 2, StrideW: 2})
	finished := packed(t, ConvShape{C: 8, H: 40, W: 40, OC: 32, KH: 3, KW: 3, StrideH: 1, StrideW: 1}, nil)
	finished.Then(func(y []float32) { Scale(y, 2) })
	several := packed(t, ConvShape{C: 128, H: 6, W: 6, OC: 128, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}, nil)
	if several.group() < 3 {
		t.Error("images aren't convolved together")
	}
	large, result := normal(r, 32*100*90), make([]float32, 32*100*90)
	dense := PackB(w, 40, 72, true)
	pool := PoolShape{N: s.N, C: s.C, H: s.H, W: s.W, KH: 2, KW: 2, StrideH: 2, StrideW: 2}
	index := make([]int32, len(x))
	adam := NewAdamParams(1e-3, 0.9, 0.999, 1e-8, 1)
	for name, f := range map[string]func(){
		"gemm":            func() { Gemm(true, true, 30, 20, 50, 1.5, x, 30, w, 50, 0.5, y, 20) },
		"packed":          func() { dense.Mul(9, x, 40, w[:72], TanhActivation, y, 72) },
		"packed one":      func() { dense.Mul(1, x, 40, nil, Identity, y, 72) },
		"packed conv":     func() { conv.Run(2, x, y) },
		"bands padded":    func() { padded.Run(1, large, result) },
		"bands pooled":    func() { pooled.Run(1, large, result) },
		"bands then":      func() { finished.Run(1, large, result) },
		"together":        func() { several.Run(3, large, result) },
		"depthwise":       func() { depthwise.Run(2, x, y) },
		"conv deep":       func() { Conv2D(deep, x, w, bias, y) },
		"conv":            func() { Conv2D(s, x, w, bias, y) },
		"grad input":      func() { Conv2DGradInput(s, y, w, gx) },
		"grad filter":     func() { Conv2DGradFilter(s, x, y, gw) },
		"max pool":        func() { MaxPool(pool, x, gx, index) },
		"avg pool":        func() { AvgPool(pool, x, gx) },
		"avg grad":        func() { AvgPoolGrad(pool, x, gx) },
		"nhwc pools":      func() { MaxPoolNHWC(pool, x, pool.C, gx, pool.C); AvgPoolNHWC(pool, x, pool.C, gx, pool.C) },
		"softmax":         func() { Softmax(gx, x, 8, 100, 1) },
		"softmax columns": func() { Softmax(gx, x, 4, 20, 20); Softmax(gx, x, 40, 20, 2) },
		"response":        func() { ResponseNorm(gx, x, 8, 2, 1, 0.1) },
		"lstm":            func() { LSTM(gx[:64], y[:64], y[64:320], x, nil, 2, 32) },
		"lstm grad":       func() { LSTMGrad(gx[:256], nil, y[:256], nil, x, x, nil, 2, 32) },
		"gru":             func() { GRU(gx[:64], nil, y[:192], x, nil, 2, 32) },
		"gru grad":        func() { GRUGrad(gx[:192], gx[192:384], gx[384:448], y, x, nil, x, 2, 32) },
		"batch norm":      func() { BatchNormTrain(gx, x, w, w, w, y, y[40:], 8, 72, 1, 1e-5) },
		"norm grad":       func() { BatchNormGrad(gx, y, y[40:], x, gx, w, bias, bias, 2, 8, 72) },
		"adam":            func() { Adam(gw[:500], w, y, gx, adam) },
	} {
		f()
		if n := testing.AllocsPerRun(50, f); n != 0 {
			t.Errorf("%s allocates %v times a call", name, n)
		}
	}
}

// packed is a convolution with some weights.
func packed(t *testing.T, s ConvShape, pool *PoolShape) *PackedConv {
	t.Helper()
	p, err := PackConv(s, normal(random(t), s.OC*planConv(s).k), nil, ReLUActivation, pool)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
