package kernel

// direct is a convolution laid out for the micro-kernels: a row of output pixels is
// a tile of the product patches x filters whose A is read from a padded NHWC image
// in place. Row to row the address moves by one stride; the steps of the chain, in
// the order (ky, kx, channel), are a table of offsets. Strides, dilation and groups
// change the numbers only.
type direct struct {
	convPlan
	hp, wp     int // padded input
	rows, cols int // output rows and the pixels of each: a pointwise convolution is one long row, and so is a column
	move       int // elements of the padded image from a pixel of a row to the next
	perGroup   int // panels of a group's filters
	off        []int
	w          []float32 // panels of k x panelCols, group after group
}

// prepare fills everything but the filters.
func (d *direct) prepare(p convPlan) {
	d.convPlan = p
	d.hp, d.wp = p.H+2*p.PadH, p.W+2*p.PadW
	d.rows, d.cols, d.move = p.oh, p.ow, p.StrideW*p.px
	switch {
	case p.pointwise:
		d.rows, d.cols = 1, p.out
	case d.wp == 1:
		d.rows, d.cols, d.move = 1, p.oh, p.StrideH*p.px
	}
	d.perGroup = roundUp(p.ocg, panelCols) / panelCols
	d.off = grow(&d.off, p.k)[:0]
	for ky := range p.KH {
		for kx := range p.KW {
			for c := range p.cg {
				d.off = append(d.off, ((ky*p.DilH*d.wp+kx*p.DilW)*p.px+c)*f32)
			}
		}
	}
}

// packFilters fills the panels from w (OC x C/Groups x KH x KW).
func (d *direct) packFilters(w []float32) {
	panel := d.k * panelCols
	d.w = grow(&d.w, d.filterSize())
	if d.ocg%panelCols != 0 {
		clear(d.w)
	}
	taps := d.KH * d.KW
	for oc := range d.OC {
		g, o := oc/d.ocg, oc%d.ocg
		dst := d.w[(g*d.perGroup+o/panelCols)*panel+o%panelCols:]
		for c := range d.cg {
			for t, v := range w[oc*d.k+c*taps:][:taps] {
				dst[(t*d.cg+c)*panelCols] = v
			}
		}
	}
}

// filterSize is the number of elements of the packed filters.
func (d *direct) filterSize() int { return d.Groups * d.perGroup * d.k * panelCols }

// padded is the number of elements from a padded image to the next.
func (d *direct) padded() int { return d.hp * d.wp * d.px }

// pad copies an NHWC image, whose pixels lie ld elements apart, into the middle of the
// padded one, whose border is zero.
func (d *direct) pad(dst, src []float32, ld int) {
	for y := range d.H {
		MovePixels(dst[((y+d.PadH)*d.wp+d.PadW)*d.C:], d.C, src[y*d.W*ld:], ld, d.C, d.W)
	}
}

// padNCHW does the same for an NCHW image.
func (d *direct) padNCHW(l Level, dst, src []float32) {
	plane := d.H * d.W
	if d.PadW == 0 {
		transposeInto(l, dst[d.PadH*d.wp*d.C:], d.C, src, plane, d.C, plane)
		return
	}
	for y := range d.H {
		transposeInto(l, dst[((y+d.PadH)*d.wp+d.PadW)*d.C:], d.C, src[y*d.W:], plane, d.C, d.W)
	}
}

// cropNCHW copies the middle of a padded NHWC image into an NCHW one.
func (d *direct) cropNCHW(l Level, dst, src []float32) {
	plane := d.H * d.W
	if d.PadW == 0 {
		transposeInto(l, dst, plane, src[d.PadH*d.wp*d.C:], d.C, plane, d.C)
		return
	}
	for y := range d.H {
		transposeInto(l, dst[y*d.W:], plane, src[((y+d.PadH)*d.wp+d.PadW)*d.C:], d.C, d.W, d.C)
	}
}

// image convolves one padded image into y (NHWC). first are the flags of the first
// block of the chain, last those of its end; bias is nil or OC long. A large image is
// cut into bands that stay in the second-level cache while all panels pass over them.
func (d *direct) image(l Level, x, y, bias []float32, first, last int) {
	band := *d
	count, in, pixels := &band.rows, d.StrideH*d.wp*d.px, d.cols
	if d.rows == 1 {
		count, in, pixels = &band.cols, d.move, 1
	}
	n, bytes := *count, in/d.px*d.C*f32
	// The result of a pointwise convolution may be so large that it displaces the image,
	// and that of a chain in blocks is read again.
	if d.pointwise || evenBlock(d.k, convBlockK) < d.k {
		bytes += pixels * d.OC * f32
	}
	for at, size := 0, bandRows(n, bytes, pixels); at < n; at += size {
		*count = min(size, n-at)
		band.images(l, 1, x[at*in:], y[at*pixels*d.py:], bias, first, last)
	}
}

// images convolves n images, one after the other in x and y, with each part of the
// filters in turn, which is read once.
func (d *direct) images(l Level, n int, x, y, bias []float32, first, last int) {
	s, in, out := l.shape(), d.padded(), d.out*d.py
	cols := d.cols
	if d.pointwise { // n images are one
		cols, n = cols*n, 1
	}
	step := evenBlock(d.k, convBlockK)
	if bias != nil {
		last |= tileBias
	}
	// The first panel may read an image from further than the second-level cache.
	far := d.pointwise && step == d.px && d.H*d.W*d.C*f32 > largeImage
	for pc := 0; pc < d.k; pc += step {
		t := tile{k: min(step, d.k-pc), off: &d.off[pc], rsA: d.move * f32, rsB: panelCols * f32, ldc: d.py * f32, flags: first}
		if pc+t.k == d.k {
			t.flags |= last
		}
		first = tileLoadC
		for g := range d.Groups {
			for j := 0; j < d.ocg; j += s.cols {
				t.flags &^= tileFar
				if far && j == 0 {
					t.flags |= tileFar
				}
				t.cols = min(s.cols, d.ocg-j)
				t.b = &d.w[(g*d.perGroup+j/panelCols)*d.k*panelCols+pc*panelCols+j%panelCols]
				if bias != nil {
					t.bias = &bias[g*d.ocg+j]
				}
				for i := range n {
					d.panel(l, s, &t, cols, x[i*in+g*d.cg:], y[i*out+g*d.ocg+j:])
				}
			}
		}
	}
}

// convBlockK bounds a block over k: 512 rows of a panel are 64 KiB.
const convBlockK = 512

// panel runs one panel over all output rows, two short rows in a tile.
func (d *direct) panel(l Level, s levelShape, t *tile, cols int, x, y []float32) {
	inRow, outRow := d.StrideH*d.wp*d.px, cols*d.py
	r := 0
	if 2*cols <= s.rows {
		t.tiles = 1
		for ; r+1 < d.rows; r += 2 {
			t.a0, t.a1 = &x[r*inRow], &x[(r+1)*inRow]
			t.c0, t.c1 = &y[r*outRow], &y[(r+1)*outRow]
			runTile(l, 2*cols, t)
		}
	}
	for ; r < d.rows; r++ {
		t.column(l, s, cols, operand{&x[r*inRow], t.rsA, t.off}, &y[r*outRow])
	}
}
