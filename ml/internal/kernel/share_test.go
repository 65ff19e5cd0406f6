package kernel

import (
	"sync"
	"testing"
)

// Packed weights are shared: goroutines that use them at once get the same bits as
// one alone.
func TestPackedWeightsAreShared(t *testing.T) {
	r := random(t)
	s := ConvShape{N: 3, C: 4, H: 10, W: 10, OC: 33, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 1, PadW: 1}
	x, w := normal(r, s.N*400), normal(r, 33*36)
	conv, err := PackConv(s, w, nil, ReLUActivation, &PoolShape{KH: 2, KW: 2, StrideH: 2, StrideW: 2})
	if err != nil {
		t.Fatal(err)
	}
	h, wd, c := conv.Out()
	dense := PackB(normal(r, h*wd*c*17), h*wd*c, 17, false)
	run := func() []float32 {
		mid, out := make([]float32, s.N*h*wd*c), make([]float32, s.N*17)
		conv.Run(s.N, x, mid)
		dense.Mul(s.N, mid, h*wd*c, nil, Identity, out, 17)
		return out
	}
	want := run()
	results := make([][]float32, 8)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() { results[i] = run() })
	}
	wg.Wait()
	for _, got := range results {
		sameBits(t, "shared", got, want)
	}
}
