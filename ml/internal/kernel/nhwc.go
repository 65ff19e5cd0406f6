package kernel

import "math"

// ToNHWC changes n images from NCHW to NHWC.
func ToNHWC(dst, src []float32, n, c, h, w int) { transposeInner(dst, src, n, c, h*w) }

// ToNCHW changes n images from NHWC to NCHW.
func ToNCHW(dst, src []float32, n, c, h, w int) { transposeInner(dst, src, n, h*w, c) }

// transposeInner transposes n matrices of rows x cols.
func transposeInner(dst, src []float32, n, rows, cols int) {
	size := rows * cols
	if rows == 1 || cols == 1 {
		copy(dst[:n*size], src)
		return
	}
	for i := range n {
		transposeInto(active, dst[i*size:(i+1)*size], rows, src[i*size:(i+1)*size], cols, rows, cols)
	}
}

// PermuteDense returns the weights of a dense layer (out x c*h*w, inputs in NCHW
// order, as Chainer keeps them) for inputs in NHWC order: what follows a
// PackedConv is packed with PackB(PermuteDense(w, ...), c*h*w, out, true).
func PermuteDense(w []float32, out, c, h, wd int) []float32 {
	p := make([]float32, out*c*h*wd)
	ToNHWC(p, w, out, c, h, wd)
	return p
}

// MaxPoolNHWC is MaxPool for NHWC images, without an index. ldx and ldy are the
// distances from a pixel to the next, at least the channels. The shape is valid.
func MaxPoolNHWC(s PoolShape, x []float32, ldx int, y []float32, ldy int) {
	poolNHWC(active, s, maxPixels, x, ldx, y, ldy)
}

// AvgPoolNHWC is AvgPool for NHWC images, with the distances of MaxPoolNHWC. The shape
// is valid.
func AvgPoolNHWC(s PoolShape, x []float32, ldx int, y []float32, ldy int) {
	poolNHWC(active, s, sumPixels, x, ldx, y, ldy)
}

// poolNHWC goes over the results of each image: those with whole windows at once,
// those at the edges in rows and columns.
func poolNHWC(l Level, s PoolShape, kind poolKind, x []float32, ldx int, y []float32, ldy int) {
	p := planPool(l, s)
	p.px, p.py = ldx, ldy
	in, out := p.H*p.W, p.oh*p.ow
	for i := range p.N {
		image, result := pixels(x[i*in*ldx:], ldx, p.C, in), pixels(y[i*out*ldy:], ldy, p.C, out)
		for r := 0; r < p.oh; r += p.rows.next(r) {
			for c := 0; c < p.ow; c += p.cols.next(c) {
				p.run(kind, image, result, p.rect(r, c))
			}
		}
	}
}

// pixels returns the first n pixels of x, c elements each and ld apart.
func pixels(x []float32, ld, c, n int) []float32 {
	if n == 0 {
		return x[:0]
	}
	return x[:(n-1)*ld+c]
}

// PixelCount is the number of pixels that begin in x, ld elements apart.
func PixelCount(x []float32, ld int) int { return (len(x) + ld - 1) / ld }

// MovePixels copies n pixels of c elements each, which lie lds elements apart in src and
// ldd in dst. The two don't overlap.
func MovePixels(dst []float32, ldd int, src []float32, lds, c, n int) {
	dst, src = pixels(dst, ldd, c, n), pixels(src, lds, c, n)
	if ldd == c && lds == c {
		copy(dst, src)
		return
	}
	for i := range n {
		copy(dst[i*ldd:i*ldd+c], src[i*lds:])
	}
}

// run makes a rectangle of an image's results.
func (p *poolPlan) run(kind poolKind, image, out []float32, b rect) {
	factor := p.weight(true, b.y0, b.y1, b.x0, b.x1)
	inside := b.y0 < b.y1 && b.x0 < b.x1
	if inside && p.level != Portable {
		p.block(kind, image, out, b, factor)
		return
	}
	for i := range b.rows {
		for j := range b.n {
			dst := out[((b.r+i)*p.ow+b.c+j)*p.py:][:p.C]
			y, x := i*p.StrideH, j*p.StrideW
			switch {
			case inside:
				p.pixel(kind, image, dst, b.y0+y, b.y1+y, b.x0+x, b.x1+x, factor)
			case kind == maxPixels:
				Fill(dst, float32(math.Inf(-1)))
			default:
				clear(dst)
			}
		}
	}
}

// pixel makes one pixel, channel beside channel.
func (p *poolPlan) pixel(kind poolKind, image, out []float32, y0, y1, x0, x1 int, factor float32) {
	if kind == maxPixels {
		copy(out, image[(y0*p.W+x0)*p.px:])
	} else {
		clear(out)
	}
	for yy := y0; yy < y1; yy++ {
		for xx := x0; xx < x1; xx++ {
			in := image[(yy*p.W+xx)*p.px:][:len(out)]
			if kind == sumPixels {
				add(Portable, out, out, in)
				continue
			}
			for i, v := range in {
				out[i] = max(out[i], v)
			}
		}
	}
	if kind == sumPixels {
		scale(Portable, out, factor)
	}
}

// AddReLU computes y = max(a + b, 0), the end of a residual block.
func AddReLU(y, a, b []float32) { addReLU(active, y, a, b) }

func addReLU(l Level, y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := addReLUVec(l, y, a, b); i < len(y); i++ {
		y[i] = max(a[i]+b[i], 0)
	}
}
