package kernel

// transposeInto writes the transpose of the rows x cols matrix src to dst: element
// (r, c) of src, whose rows lie ld apart, goes to dst[c*ldd+r].
func transposeInto(l Level, dst []float32, ldd int, src []float32, ld, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	_, _ = dst[(cols-1)*ldd+rows-1], src[(rows-1)*ld+cols-1]
	if rows == 3 && ldd == 3 {
		interleave(dst, src[:cols], src[ld:], src[2*ld:])
		return
	}
	r, c := 0, 0
	if blk := l.transposeBlock(); blk > 0 {
		c = cols / blk * blk
		for ; r+blk <= rows && c > 0; r += blk {
			transposeBlocks(l, &dst[r], &src[r*ld], ldd*f32, ld*f32, c/blk)
		}
	}
	transposeRect(dst, ldd, src, ld, r, rows, 0, c)
	transposeRect(dst, ldd, src, ld, 0, rows, c, cols)
}

// interleave writes the elements of three rows side by side: the colours of pixels.
func interleave(dst, r, g, b []float32) {
	g, b = g[:len(r)], b[:len(r)]
	for i, v := range r {
		d := dst[3*i:][:3]
		d[0], d[1], d[2] = v, g[i], b[i]
	}
}

// transposeRect does the rectangle [r0, r1) x [c0, c1) element by element.
func transposeRect(dst []float32, ldd int, src []float32, ld, r0, r1, c0, c1 int) {
	for r := r0; r < r1; r++ {
		for i, v := range src[r*ld+c0 : r*ld+c1] {
			dst[(c0+i)*ldd+r] = v
		}
	}
}
