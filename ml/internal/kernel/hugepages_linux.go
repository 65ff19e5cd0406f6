package kernel

import (
	"syscall"
	"unsafe"
)

// hugePages asks the system for pages of 2 MiB under a slice that hasn't been written
// to: weights that are read once a call would need a new entry of the processor's
// address cache, and stop its prefetcher, every 4 KiB.
func hugePages(x []float32) {
	const page = 2 << 20
	if len(x)*f32 < 2*page {
		return
	}
	start := uintptr(unsafe.Pointer(&x[0]))
	skip := -start & (page - 1)
	size := (uintptr(len(x)*f32) - skip) &^ (page - 1)
	b := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(&x[0]), skip)), size)
	_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) // advice: small pages do as well
}
