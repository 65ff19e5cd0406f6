package nn

import "math/bits"

// pool keeps memory by size class. Classes are a quarter of a power of
// two apart, so at most a fifth is unused and steps of varying shapes
// (sequences of different lengths) still find memory of the right class. It
// never holds more than what was in use at once in each class.
type pool[T any] struct {
	free [classes][][]T
}

const classes = 4 * 32

// class returns the smallest class that holds n elements, and its capacity.
func class(n int) (index, capacity int) {
	if n <= 64 {
		return 0, 64
	}
	e := bits.Len(uint(n-1)) - 1 // 2^e <= n-1 < 2^(e+1)
	step := 1 << (e - 2)
	q := (n - 1 - 1<<e) / step // which quarter above 2^e holds n-1
	return 4*(e-5) + q, 1<<e + (q+1)*step
}

// get returns n elements of arbitrary contents.
func (p *pool[T]) get(n int) []T {
	i, capacity := class(n)
	if l := len(p.free[i]); l > 0 {
		b := p.free[i][l-1]
		p.free[i][l-1] = nil
		p.free[i] = p.free[i][:l-1]
		return b[:n]
	}
	return make([]T, capacity)[:n]
}

// put takes back what get returned; other memory is left to the collector.
func (p *pool[T]) put(b []T) {
	b = b[:cap(b)]
	if i, capacity := class(len(b)); capacity == len(b) {
		p.free[i] = append(p.free[i], b)
	}
}
