package kernel

import (
	"fmt"
	"math"
)

// PoolShape describes a two-dimensional pooling of N x C planes of H x W.
type PoolShape struct {
	N, C, H, W       int
	KH, KW           int
	StrideH, StrideW int
	PadH, PadW       int
	// CoverAll rounds the size of the result up (Chainer's cover_all), so that every
	// input is in a window.
	CoverAll bool
	// FixedH and FixedW are the size of the result, 0 for what follows from the rest.
	FixedH, FixedW int
	// ExcludePad makes an average count the positions inside the image only
	// (ONNX's count_include_pad = 0). Chainer counts the padding as zeros.
	ExcludePad bool
}

// Validate reports the first number that makes the pooling impossible.
func (s PoolShape) Validate() error {
	switch {
	case s.N < 0 || s.C < 1 || s.H < 1 || s.W < 1:
		return fmt.Errorf("pooling of an input of %dx%dx%dx%d: %w", s.N, s.C, s.H, s.W, ErrShape)
	case s.KH < 1 || s.KW < 1 || s.StrideH < 1 || s.StrideW < 1 || s.PadH < 0 || s.PadW < 0:
		return fmt.Errorf("pooling with window %dx%d, stride %dx%d, padding %dx%d: %w", s.KH, s.KW, s.StrideH, s.StrideW, s.PadH, s.PadW, ErrShape)
	case s.PadH >= s.KH || s.PadW >= s.KW:
		return fmt.Errorf("pooling with padding %dx%d not smaller than the window %dx%d: %w", s.PadH, s.PadW, s.KH, s.KW, ErrShape)
	case s.OutH() < 1 || s.OutW() < 1:
		return fmt.Errorf("pooling of a %dx%d image with window %dx%d leaves nothing: %w", s.H, s.W, s.KH, s.KW, ErrShape)
	case s.FixedH > 0 && (s.OutH()-1)*s.StrideH-s.PadH >= s.H, s.FixedW > 0 && (s.OutW()-1)*s.StrideW-s.PadW >= s.W:
		return fmt.Errorf("pooling of a %dx%d image to %dx%d has windows outside: %w", s.H, s.W, s.OutH(), s.OutW(), ErrShape)
	}
	return nil
}

// OutH returns the height of the result.
func (s PoolShape) OutH() int {
	if s.FixedH > 0 {
		return s.FixedH
	}
	return poolOut(s.H, s.KH, s.StrideH, s.PadH, s.CoverAll)
}

// OutW returns the width of the result.
func (s PoolShape) OutW() int {
	if s.FixedW > 0 {
		return s.FixedW
	}
	return poolOut(s.W, s.KW, s.StrideW, s.PadW, s.CoverAll)
}

func poolOut(size, kernel, stride, pad int, coverAll bool) int {
	span := size + 2*pad - kernel
	if coverAll {
		span += stride - 1
	}
	if span < 0 || stride < 1 {
		return 0
	}
	return span/stride + 1
}

// window returns the part of output position o's window that lies in [0, size).
func window(o, size, kernel, stride, pad int) (lo, until int) {
	lo = o*stride - pad
	return max(lo, 0), min(lo+kernel, size)
}

// MaxPool computes y, the largest element of each window. index, unless nil,
// receives its position in the H x W plane, the first one of several, for
// MaxPoolGrad; -1 and a result of -Inf stand for a window that lies in the padding
// as a whole. A window that holds a NaN gives a NaN. The shape is valid.
func MaxPool(s PoolShape, x, y []float32, index []int32) { maxPool(active, s, x, y, index) }

func maxPool(l Level, s PoolShape, x, y []float32, index []int32) {
	p := planPool(l, s)
	in, out := p.H*p.W, p.oh*p.ow
	var at []int32
	for i := range p.N * p.C {
		if index != nil {
			at = index[i*out : (i+1)*out]
		}
		p.maxPlane(x[i*in:(i+1)*in], y[i*out:(i+1)*out], at)
	}
}

// maxPlane pools one plane: what kernels can do, then the rest.
func (p *poolPlan) maxPlane(plane, out []float32, index []int32) {
	for r := 0; r < p.oh; {
		n, done := p.rows.next(r), span{}
		if p.vectors {
			done = p.columns(maxColumns1, plane, out, index, r, n, false)
		}
		for ; n > 0; n-- {
			p.maxRow(plane, out, index, r, done)
			r++
		}
	}
}

// maxRow makes row r of a plane's results but for those that are done.
func (p *poolPlan) maxRow(plane, out []float32, index []int32, r int, done span) {
	y0, y1 := window(r, p.H, p.KH, p.StrideH, p.PadH)
	for c := done.skip(0); c < p.ow; c = done.skip(c + 1) {
		x0, x1 := window(c, p.W, p.KW, p.StrideW, p.PadW)
		v, at := maxIn(plane, p.W, y0, y1, x0, x1)
		out[r*p.ow+c] = v
		if index != nil {
			index[r*p.ow+c] = at
		}
	}
}

// maxIn returns the largest element of a window and where it is.
func maxIn(plane []float32, w, y0, y1, x0, x1 int) (best float32, at int32) {
	if y0 >= y1 || x0 >= x1 {
		return float32(math.Inf(-1)), -1
	}
	at = int32(y0*w + x0)
	best = plane[at]
	for y := y0; y < y1; y++ {
		for i, v := range plane[y*w+x0 : y*w+x1] {
			if !(v <= best) && best == best { // larger, or the first NaN
				best, at = v, int32(y*w+x0+i)
			}
		}
	}
	return best, at
}

// MaxPoolGrad computes gx from gy and the index that MaxPool left.
func MaxPoolGrad(s PoolShape, gy []float32, index []int32, gx []float32) {
	maxPoolGrad(active, s, gy, index, gx)
}

// AvgPool computes y, the mean of each window. The shape is valid.
func AvgPool(s PoolShape, x, y []float32) { sumPool(active, s, x, y, true) }

// AvgPoolGrad computes gx from gy, the adjoint of AvgPool.
func AvgPoolGrad(s PoolShape, gy, gx []float32) { spreadPool(active, s, gy, gx, true) }

// Unpool computes y (N x C x H x W), where every element of x
// (N x C x OutH x OutW) was added to all positions of its window: s describes the
// pooling of y that Unpool turns round. Chainer's unpooling_2d with the same
// cover_all.
func Unpool(s PoolShape, x, y []float32) { spreadPool(active, s, x, y, false) }

// UnpoolGrad computes gx, the sum of gy over each window.
func UnpoolGrad(s PoolShape, gy, gx []float32) { sumPool(active, s, gy, gx, false) }

// UnpoolOut returns the size that Unpool makes of size.
func UnpoolOut(size, kernel, stride, pad int, coverAll bool) int {
	n := stride*(size-1) + kernel - 2*pad
	if coverAll {
		n -= stride - 1
	}
	return n
}

// weight returns what a window's sum is multiplied by.
func (s *PoolShape) weight(mean bool, y0, y1, x0, x1 int) float32 {
	switch {
	case !mean:
		return 1
	case s.ExcludePad:
		return 1 / float32(max((y1-y0)*(x1-x0), 1))
	}
	return 1 / float32(s.KH*s.KW)
}

func sumPool(l Level, s PoolShape, x, y []float32, mean bool) {
	p := planPool(l, s)
	in, out := p.H*p.W, p.oh*p.ow
	for i := range p.N * p.C {
		p.sumPlane(x[i*in:(i+1)*in], y[i*out:(i+1)*out], mean)
	}
}

// sumPlane pools one plane: what kernels can do, then the rest.
func (p *poolPlan) sumPlane(plane, out []float32, mean bool) {
	for r := 0; r < p.oh; {
		n, done := p.rows.next(r), span{}
		if p.vectors {
			done = p.columns(sumColumns1, plane, out, nil, r, n, mean)
		}
		for ; n > 0; n-- {
			p.sumRow(plane, out, r, mean, done)
			r++
		}
	}
}

// sumRow makes row r of a plane's results but for those that are done.
func (p *poolPlan) sumRow(plane, out []float32, r int, mean bool, done span) {
	y0, y1 := window(r, p.H, p.KH, p.StrideH, p.PadH)
	for c := done.skip(0); c < p.ow; c = done.skip(c + 1) {
		x0, x1 := window(c, p.W, p.KW, p.StrideW, p.PadW)
		var sum float32
		for y := y0; y < y1 && x0 < x1; y++ {
			for _, v := range plane[y*p.W+x0 : y*p.W+x1] {
				sum += v
			}
		}
		out[r*p.ow+c] = sum * p.weight(mean, y0, y1, x0, x1)
	}
}
