package kernel

import "sync"

// scratch is working memory that a call borrows and gives back.
type scratch struct {
	a, b, c, d []float32
	off        []int
	conv       direct
	depth      depthwise
}

// scratchPool is a free list. It carries no values from one call to another:
// whoever takes a buffer writes it before reading it.
var scratchPool = sync.Pool{New: func() any { return new(scratch) }}

func getScratch() *scratch  { return scratchPool.Get().(*scratch) }
func putScratch(s *scratch) { scratchPool.Put(s) }

// grow returns a buffer of n elements with arbitrary content, using *buf when it
// is large enough. Buffers start at a 64-byte boundary as far as the allocator
// gives one, which it does for everything above 32 KiB.
func grow[T any](buf *[]T, n int) []T {
	if cap(*buf) < n {
		*buf = make([]T, n)
	}
	return (*buf)[:n]
}
