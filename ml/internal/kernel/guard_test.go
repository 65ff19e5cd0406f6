//go:build linux

package kernel

import (
	"syscall"
	"testing"
	"unsafe"
)

// guarded returns a copy of x that ends where memory ends: reading beyond it is a
// fault that ends the test program.
func guarded(t *testing.T, x []float32) []float32 {
	t.Helper()
	page := syscall.Getpagesize()
	size := (len(x)*f32 + page - 1) / page * page
	m, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(m); err != nil {
			t.Error(err)
		}
	})
	if err := syscall.Mprotect(m[size:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	at := size - len(x)*f32
	s := unsafe.Slice((*float32)(unsafe.Pointer(&m[at])), len(x))
	copy(s, x)
	return s
}

// Kernels read and write nothing beyond their slices.
func TestPoolStaysInside(t *testing.T) {
	r := random(t)
	for range 60 {
		s := randomPool(r)
		if r.IntN(3) == 0 {
			s.KH, s.KW, s.StrideH, s.StrideW, s.PadH, s.PadW = 1, 2, 1, 2, 0, 0
		}
		s.W += 1 + r.IntN(40)
		n := s.N * s.C * s.OutH() * s.OutW()
		x, y := guarded(t, normal(r, s.N*s.C*s.H*s.W)), guarded(t, make([]float32, n))
		at := guarded(t, make([]float32, n))
		index := unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(at))), n)
		for _, l := range levels() {
			maxPool(l, s, x, y, index)
			maxPoolGrad(l, s, y, index, x)
			maxPool(l, s, x, y, nil)
			sumPool(l, s, x, y, true)
			spreadPool(l, s, y, x, true)
			maxPoolNHWC(l, s, x, y)
			avgPoolNHWC(l, s, x, y)
		}
	}
}

func TestDepthwiseStaysInside(t *testing.T) {
	r := random(t)
	for range 60 {
		s := randomDepthwise(r)
		p := planConv(s)
		x, y := guarded(t, normal(r, s.N*p.in())), guarded(t, make([]float32, s.N*s.OC*p.out))
		pc, err := PackConv(s, normal(r, s.OC*p.k), nil, ReLUActivation, nil)
		if err != nil {
			t.Fatal(err)
		}
		pc.bias, pc.depth.w = guarded(t, pc.bias), guarded(t, pc.depth.w)
		for _, l := range levels() {
			pc.run(l, s.N, x, y, 0)
			pc.run(l, s.N, x, y, tileLoadC)
		}
	}
}

func TestCellsStayInside(t *testing.T) {
	r := random(t)
	for range 20 {
		n, units := 1+r.IntN(3), 1+r.IntN(50)
		size := n * units
		a, g := guarded(t, normal(r, 4*size)), guarded(t, make([]float32, 4*size))
		x, y := guarded(t, normal(r, 3*size)), guarded(t, make([]float32, 3*size))
		c, h := guarded(t, normal(r, size)), guarded(t, make([]float32, size))
		for _, l := range levels() {
			lstm(l, c, h, g, a, c, size)
			lstmGrad(l, g, h, a, c, c, h, c, size)
			gru(l, h, y, x, x, c, n, units)
			gruGrad(l, y, y, h, x, x, c, c, n, units)
		}
	}
}

func TestBatchNormStaysInside(t *testing.T) {
	r := random(t)
	for range 20 {
		n, c, inner := 1+r.IntN(40), 1+r.IntN(20), 1+r.IntN(40)
		x, y := guarded(t, normal(r, n*c*inner)), guarded(t, make([]float32, n*c*inner))
		stats := guarded(t, normal(r, 3*c))
		for _, l := range levels() {
			batchNormTrain(l, y, x, stats[:c], stats[c:2*c], stats[:c], stats[c:2*c], stats[2*c:], n, c, inner, testEps)
			batchNormGrad(l, y, stats[:c], stats[c:2*c], x, y, stats[:c], stats[c:2*c], stats[2*c:], n, c, inner)
			channelGrad(l, y, stats[:c], stats[c:2*c], x, x, stats[:c], stats[2*c:], n, c, inner)
		}
	}
}

func TestScatterAddStaysInside(t *testing.T) {
	r := random(t)
	for dim := 1; dim < 40; dim++ {
		table, gy := guarded(t, normal(r, 3*dim)), guarded(t, normal(r, 2*dim))
		for _, l := range levels() {
			if err := scatterAdd(l, table, gy, 3, dim, []int32{0, 2}, -1); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestResponseNormStaysInside(t *testing.T) {
	r := random(t)
	for range 40 {
		c := 1 + r.IntN(70)
		x := guarded(t, normal(r, c*(1+r.IntN(5))))
		for _, l := range levels() {
			responseNorm(l, x, x, c, r.IntN(5), 1.5, 0.3)
		}
	}
}
