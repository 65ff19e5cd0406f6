package kernel

// poolBlock is one call of a pooling kernel, which makes a rectangle of results
// whose windows have the same size: rows of n columns of a plane, whose windows are
// one or two columns apart, or of n pixels of an image that is NHWC. A window has
// kh rows, row bytes apart, of kw elements, tap bytes apart. Kernels change the
// block as they go.
//
// Assembly reads the fields by offset: do not reorder. See gen.
type poolBlock struct {
	x     *float32 // 0: the first element of the first window
	y     *float32 // 8
	index *int32   // 16: maxColumns and maxGrad2 only, nil if not wanted
	rows  int      // 24: at least 1
	n     int      // 32: at least 1
	kh    int      // 40: at least 1
	kw    int      // 48: at least 1
	row   int      // 56
	tap   int      // 64
	pixel int      // 72: pixels only, from a window to the next
	c     int      // 80: pixels only, channels
	down  int      // 88: from a row's windows to the next row's
	out   int      // 96: from a row of results to the next
	scale float32  // 104: sums only, what they are multiplied by
	first int32    // 108: maxColumns and maxGrad2 only, the position of x in the plane
	skip  int32    // 112: maxColumns only, from behind a window's row to the next; maxGrad2, from row to row
	next  int      // 120: pixels only, from behind a result to the next
}

// poolKind names a pooling kernel.
type poolKind int

const (
	maxColumns1 poolKind = iota // of columns whose windows are one apart
	maxColumns2                 // two apart
	sumColumns1
	sumColumns2
	maxPixels
	sumPixels
	maxGrad2 // gradients: x is written, y and index are read
	sumGrad2
)

// span is a range of results, [lo, until).
type span struct{ lo, until int }

// whole returns those of n results whose windows lie in [0, size) as a whole.
func whole(n, size, kernel, stride, pad int) span {
	if size+pad < kernel {
		return span{}
	}
	until := min(n, (size+pad-kernel)/stride+1)
	return span{min((pad+stride-1)/stride, until), until}
}

// next returns how many results from i on can be made at once: the whole ones, or
// one of the others.
func (s span) next(i int) int {
	if i == s.lo && i < s.until {
		return s.until - i
	}
	return 1
}

// skip returns the first result from i on that is not in the range.
func (s span) skip(i int) int {
	if s.lo <= i && i < s.until {
		return s.until
	}
	return i
}

// poolPlan is a pooling with what its loops need.
type poolPlan struct {
	PoolShape
	level      Level
	oh, ow     int
	rows, cols span // of the result, with whole windows
	vectors    bool // there are kernels for the columns
	px, py     int  // of NHWC images, from a pixel to the next
}

func planPool(l Level, s PoolShape) poolPlan {
	p := poolPlan{PoolShape: s, level: l, oh: s.OutH(), ow: s.OutW()}
	p.rows, p.cols = whole(p.oh, s.H, s.KH, s.StrideH, s.PadH), whole(p.ow, s.W, s.KW, s.StrideW, s.PadW)
	// A single column would waste them.
	p.vectors = l != Portable && s.StrideW <= 2 && p.cols.until-p.cols.lo > 1
	return p
}

// columns runs a kernel, kind for a stride of 1 or the next one for 2, on the
// columns with whole windows of n rows of a plane's results, from row r on. It
// returns which columns it has made.
func (p *poolPlan) columns(kind poolKind, plane, out []float32, index []int32, r, n int, mean bool) span {
	y0, y1 := window(r, p.H, p.KH, p.StrideH, p.PadH)
	if y0 >= y1 {
		return span{}
	}
	first, to := y0*p.W+p.cols.lo*p.StrideW-p.PadW, r*p.ow+p.cols.lo
	b := poolBlock{
		x: &plane[first], y: &out[to], rows: n, n: p.cols.until - p.cols.lo,
		kh: y1 - y0, kw: p.KW, row: p.W * f32, tap: f32,
		down: p.StrideH * p.W * f32, out: p.ow * f32,
		scale: p.weight(mean, y0, y1, 0, p.KW), first: int32(first), skip: int32(p.W - p.KW),
	}
	if index != nil {
		b.index = &index[to]
	}
	runPool(p.level, kind+poolKind(p.StrideW-1), &b)
	return p.cols
}

// rect is a rectangle of results whose windows have the same size inside the image;
// y0 to x1 bound the first.
type rect struct{ r, rows, c, n, y0, y1, x0, x1 int }

// rect returns the rectangle that begins at row r and column c.
func (p *poolPlan) rect(r, c int) rect {
	b := rect{r: r, rows: p.rows.next(r), c: c, n: p.cols.next(c)}
	b.y0, b.y1 = window(r, p.H, p.KH, p.StrideH, p.PadH)
	b.x0, b.x1 = window(c, p.W, p.KW, p.StrideW, p.PadW)
	return b
}

// block runs a kernel on a rectangle of an image's results.
func (p *poolPlan) block(kind poolKind, image, out []float32, b rect, scale float32) {
	runPool(p.level, kind, &poolBlock{
		x: &image[(b.y0*p.W+b.x0)*p.px], y: &out[(b.r*p.ow+b.c)*p.py], rows: b.rows, n: b.n,
		kh: b.y1 - b.y0, kw: b.x1 - b.x0, row: p.W * p.px * f32, tap: p.px * f32,
		pixel: p.StrideW * p.px * f32, c: p.C, next: (p.py - p.C) * f32,
		down: p.StrideH * p.W * p.px * f32, out: p.ow * p.py * f32, scale: scale,
	})
}
