package kernel

// transposeInto writes the transpose of the rows x cols matrix src to dst: element
// (r, c) of src, whose rows lie ld apart, goes to dst[c*ldd+r].
func transposeInto(l Level, dst []float32, ldd int, src []float32, ld, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	_, _ = dst[(cols-1)*ldd+rows-1], src[(rows-1)*ld+cols-1]
	r, c := 0, 0
	if blk := l.transposeBlock(); blk > 0 && rows >= blk {
		c = cols / blk * blk
		for ; r+blk <= rows && c > 0; r += blk {
			transposeBlocks(l, &dst[r], &src[r*ld], ldd*f32, ld*f32, c/blk)
		}
	}
	transposeRect(dst, ldd, src, ld, r, rows, 0, c)
	transposeRect(dst, ldd, src, ld, 0, rows, c, cols)
}

// transposeRect does the rectangle [r0, r1) x [c0, c1), four rows or three, as the
// channels of many images are, side by side.
func transposeRect(dst []float32, ldd int, src []float32, ld, r0, r1, c0, c1 int) {
	if c0 == c1 {
		return
	}
	row := func(r int) []float32 { return src[r*ld+c0 : r*ld+c1] }
	for r := r0; r < r1; {
		to := dst[c0*ldd+r:]
		switch rest := r1 - r; {
		case rest >= 4:
			interleave4(to, ldd, row(r), row(r+1), row(r+2), row(r+3))
			r += 4
		case rest == 3:
			interleave3(to, ldd, row(r), row(r+1), row(r+2))
			r += 3
		default:
			for i, v := range row(r) {
				to[i*ldd] = v
			}
			r++
		}
	}
}

func interleave4(dst []float32, ldd int, a, b, c, d []float32) {
	b, c, d = b[:len(a)], c[:len(a)], d[:len(a)]
	for i, v := range a {
		to := (*[4]float32)(dst[i*ldd:])
		to[0], to[1], to[2], to[3] = v, b[i], c[i], d[i]
	}
}

func interleave3(dst []float32, ldd int, a, b, c []float32) {
	b, c = b[:len(a)], c[:len(a)]
	for i, v := range a {
		to := (*[3]float32)(dst[i*ldd:])
		to[0], to[1], to[2] = v, b[i], c[i]
	}
}
