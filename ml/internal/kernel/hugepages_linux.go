package kernel

import (
	"syscall"
	"unsafe"
)

const hugePage = 2 << 20

// hugePages asks the system for pages of 2 MiB under a slice that is about to be
// written: weights that are read once a call would need a new entry of the processor's
// address cache, and stop its prefetcher, every 4 KiB. Memory that the heap has used
// before has small pages already, which the system may merge later or never. The
// advice stays with that part of the heap when the weights are collected.
func hugePages(x []float32) {
	if len(x) == 0 {
		return
	}
	skip, n := hugeRange(uintptr(unsafe.Pointer(&x[0])), len(x)*f32)
	if n == 0 {
		return
	}
	b := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(&x[0]), skip)), n)
	_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) // advice: small pages do as well
}

// hugeRange returns the whole huge pages among size bytes from start on: how many bytes
// lie before them and how many they are, 0 where size is less than two pages.
func hugeRange(start uintptr, size int) (skip, n int) {
	if size < 2*hugePage {
		return 0, 0
	}
	skip = int(-start & (hugePage - 1))
	return skip, (size - skip) &^ (hugePage - 1)
}
