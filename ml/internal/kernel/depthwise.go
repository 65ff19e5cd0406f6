package kernel

import "unsafe"

// depthwise is a convolution of NHWC images whose groups are single channels. The rows
// and the columns of the result are cut into stretches the same taps of whose windows
// lie in the image, so that nothing is padded.
type depthwise struct {
	convPlan
	rows, cols []stretch
	w          []float32 // taps x C
}

// stretch is adjacent results along an axis.
type stretch struct {
	first, n  int
	tap, taps int // the taps inside the image
	at        int // where the first result's first tap inside is
}

// isDepthwise tells whether every channel is a group with one filter.
func (p *convPlan) isDepthwise() bool { return p.Groups > 1 && p.cg == 1 && p.ocg == 1 }

// prepare fills everything but the filters.
func (d *depthwise) prepare(p convPlan) {
	d.convPlan = p
	d.rows = stretches(d.rows[:0], p.oh, p.H, p.KH, p.StrideH, p.PadH, p.DilH)
	d.cols = stretches(d.cols[:0], p.ow, p.W, p.KW, p.StrideW, p.PadW, p.DilW)
}

// stretches appends those of an axis of n results.
func stretches(list []stretch, n, size, taps, stride, pad, dil int) []stretch {
	for i := range n {
		from := i*stride - pad // the first tap
		tap := min((max(-from, 0)+dil-1)/dil, taps)
		until := max(tap, min((max(size-from, 0)+dil-1)/dil, taps))
		if k := len(list) - 1; k >= 0 && list[k].tap == tap && list[k].taps == until-tap {
			list[k].n++
			continue
		}
		list = append(list, stretch{i, 1, tap, until - tap, from + tap*dil})
	}
	return list
}

// packFilters puts the channels of w (C x 1 x KH x KW) innermost.
func (d *depthwise) packFilters(l Level, w []float32) {
	d.w = grow(&d.w, d.C*d.k)
	transposeInto(l, d.w, d.C, w, d.k, d.C, d.k)
}

// depthTile is one call of a depthwise kernel: pixels of the result a constant distance
// apart, in a row or in a column, whose windows lie in the image alike. All distances
// are in bytes.
//
// Assembly reads the fields by offset: do not reorder. See gen.
type depthTile struct {
	x     *float32 // 0: the first tap of the first pixel
	y     *float32 // 8
	w     *float32 // 16: the weights of the first tap
	bias  *float32 // 24
	pixel int      // 32: from a pixel's first tap to the next one's
	out   int      // 40: from a result to the next
	kh    int      // 48: rows of taps, at least 1
	kw    int      // 56: taps of a row, at least 1
	row   int      // 64: from behind a row of taps to the next
	tap   int      // 72: from a tap to the next
	wrow  int      // 80: the same of the weights
	wtap  int      // 88
	c     int      // 96: a pixel's channels
	flags int      // 104: those of a tile
}

// depthRows is the number of pixels that the level's kernels make at most.
func (l Level) depthRows() int {
	if l == AVX512 {
		return 14
	}
	return 12
}

// rowFrom is the number of columns from which on results are made row by row rather
// than column by column.
const rowFrom = 8

// image convolves one image x into y. flags are those of a tile; bias is OC long, and
// done is called, unless it is nil, with the results of whole rows as they are made.
func (d *depthwise) image(l Level, x, y, bias []float32, flags int, done func(y []float32)) {
	row := d.ow * d.py
	for _, r := range d.rows {
		byRow := func(c stretch) bool { return c.n >= min(rowFrom, r.n) }
		for _, c := range d.cols {
			if byRow(c) {
				continue
			}
			for j := range c.n {
				d.line(l, x, y, bias, flags, r, c, 0, j, true)
			}
		}
		ready := 0
		for i := range r.n {
			for _, c := range d.cols {
				if byRow(c) {
					d.line(l, x, y, bias, flags, r, c, i, 0, false)
				}
			}
			if done != nil && ((i+1-ready)*row*f32 >= finishedBytes || i == r.n-1) {
				done(y[(r.first+ready)*row : (r.first+i+1)*row])
				ready = i + 1
			}
		}
	}
}

// line makes the results of the stretches' row i, or of their column j, from row i and
// column j on.
func (d *depthwise) line(l Level, x, y, bias []float32, flags int, r, c stretch, i, j int, down bool) {
	n, pixel, out := c.n, d.StrideW*d.px, d.py
	if down {
		n, pixel, out = r.n, d.StrideH*d.W*d.px, d.ow*d.py
	}
	y = y[((r.first+i)*d.ow+c.first+j)*d.py:]
	if r.taps == 0 || c.taps == 0 { // windows in the padding
		x = nil
	} else {
		x = x[((r.at+i*d.StrideH)*d.W+c.at+j*d.StrideW)*d.px:]
	}
	if l == Portable || x == nil {
		for k := range n {
			from := x
			if x != nil {
				from = x[k*pixel:]
			}
			d.pixel(from, y[k*out:][:d.C], bias, flags, r, c)
		}
		return
	}
	tap := d.DilW * d.px
	p := depthTile{
		x: &x[0], y: &y[0], w: &d.w[(r.tap*d.KW+c.tap)*d.C], bias: unsafe.SliceData(bias),
		pixel: pixel * f32, out: out * f32, kh: r.taps, kw: c.taps,
		row: (d.DilH*d.W*d.px - c.taps*tap) * f32, tap: tap * f32,
		wrow: (d.KW - c.taps) * d.C * f32, wtap: d.C * f32, c: d.C * f32, flags: flags,
	}
	larger, smaller, size := spread(n, l.depthRows())
	for k := range larger + smaller {
		h := size
		if k < larger {
			h++
		}
		runDepth(l, h, &p)
		if n -= h; n > 0 { // so that the pointers never leave their slices
			p.x, p.y = at(p.x, h*p.pixel), at(p.y, h*p.out)
		}
	}
}

// pixel is the reference for the kernels: one pixel of the result, whose first tap is
// at x.
func (d *depthwise) pixel(x, y, bias []float32, flags int, r, c stretch) {
	if flags&tileLoadC == 0 {
		clear(y)
	}
	for ky := range r.taps {
		for kx := range c.taps {
			in := x[(ky*d.DilH*d.W+kx*d.DilW)*d.px:][:len(y)]
			w := d.w[((r.tap+ky)*d.KW+c.tap+kx)*d.C:][:len(y)]
			for i, v := range in {
				y[i] += float32(v * w[i])
			}
		}
	}
	t := tile{flags: flags, bias: unsafe.SliceData(bias)}
	t.finish(y)
}
