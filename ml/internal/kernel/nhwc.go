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
func MaxPoolNHWC(s PoolShape, x, y []float32) { maxPoolNHWC(active, s, x, y) }

func maxPoolNHWC(l Level, s PoolShape, x, y []float32) {
	eachWindow(&s, x, y, func(dst, im []float32, y0, y1, x0, x1 int) {
		Fill(dst, float32(math.Inf(-1)))
		for yy := y0; yy < y1; yy++ {
			for xx := x0; xx < x1; xx++ {
				maximum(l, dst, dst, im[(yy*s.W+xx)*s.C:])
			}
		}
	})
}

// AvgPoolNHWC is AvgPool for NHWC images. The shape is valid.
func AvgPoolNHWC(s PoolShape, x, y []float32) {
	eachWindow(&s, x, y, func(dst, im []float32, y0, y1, x0, x1 int) {
		clear(dst)
		for yy := y0; yy < y1; yy++ {
			for xx := x0; xx < x1; xx++ {
				Add(dst, dst, im[(yy*s.W+xx)*s.C:])
			}
		}
		Scale(dst, s.weight(true, y0, y1, x0, x1))
	})
}

// eachWindow calls f with the pixel of y, the image and the window's bounds.
func eachWindow(s *PoolShape, x, y []float32, f func(dst, im []float32, y0, y1, x0, x1 int)) {
	oh, ow := s.OutH(), s.OutW()
	for i := range s.N {
		im := x[i*s.H*s.W*s.C : (i+1)*s.H*s.W*s.C]
		for r := range oh {
			y0, y1 := window(r, s.H, s.KH, s.StrideH, s.PadH)
			for c := range ow {
				x0, x1 := window(c, s.W, s.KW, s.StrideW, s.PadW)
				f(y[((i*oh+r)*ow+c)*s.C:][:s.C], im, y0, y1, x0, x1)
			}
		}
	}
}

// maximum computes y = max(a, b).
func maximum(l Level, y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i := maxVec(l, y, a, b); i < len(y); i++ {
		y[i] = max(a[i], b[i])
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
