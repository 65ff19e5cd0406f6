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

// MaxPoolNHWC is MaxPool for NHWC images, without an index. The shape is valid.
func MaxPoolNHWC(s PoolShape, x, y []float32) {
	poolNHWC(s, x, y, float32(math.Inf(-1)), func(dst, src []float32) {
		src = src[:len(dst)]
		for i, v := range src {
			dst[i] = max(dst[i], v)
		}
	}, nil)
}

// AvgPoolNHWC is AvgPool for NHWC images. The shape is valid.
func AvgPoolNHWC(s PoolShape, x, y []float32) {
	poolNHWC(s, x, y, 0, func(dst, src []float32) { Add(dst, dst, src) }, func(dst []float32, y0, y1, x0, x1 int) {
		Scale(dst, s.weight(true, y0, y1, x0, x1))
	})
}

// poolNHWC folds the pixels of each window into one, then finishes it.
func poolNHWC(s PoolShape, x, y []float32, start float32, fold func(dst, src []float32), finish func(dst []float32, y0, y1, x0, x1 int)) {
	oh, ow := s.OutH(), s.OutW()
	for i := range s.N {
		im := x[i*s.H*s.W*s.C:]
		for r := range oh {
			y0, y1 := window(r, s.H, s.KH, s.StrideH, s.PadH)
			for c := range ow {
				x0, x1 := window(c, s.W, s.KW, s.StrideW, s.PadW)
				dst := y[((i*oh+r)*ow+c)*s.C:][:s.C]
				Fill(dst, start)
				for yy := y0; yy < y1; yy++ {
					for xx := x0; xx < x1; xx++ {
						fold(dst, im[(yy*s.W+xx)*s.C:])
					}
				}
				if finish != nil {
					finish(dst, y0, y1, x0, x1)
				}
			}
		}
	}
}

// AddReLU computes y = max(a + b, 0), the end of a residual block.
func AddReLU(y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = max(a[i]+b[i], 0)
	}
}
