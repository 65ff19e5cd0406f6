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
		s.W += r.IntN(40)
		n := s.N * s.C * s.OutH() * s.OutW()
		x, y := guarded(t, normal(r, s.N*s.C*s.H*s.W)), guarded(t, make([]float32, n))
		for _, l := range levels() {
			maxPool(l, s, x, y, nil)
			sumPool(l, s, x, y, true)
			maxPoolNHWC(l, s, x, y)
			avgPoolNHWC(l, s, x, y)
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
