package kernel

// valid returns the outputs [lo, until) whose input position o*stride+k*dil-pad
// lies inside [0, size).
func valid(out, size, stride, pad, kdil int) (lo, until int) {
	shift := kdil - pad
	if shift < 0 {
		lo = (-shift + stride - 1) / stride
	}
	until = 0
	if last := size - 1 - shift; last >= 0 {
		until = min(last/stride+1, out)
	}
	return min(lo, out), max(until, min(lo, out))
}

// im2col writes the k x (oh*ow) matrix of patches of one group of one image; rows
// are (channel, ky, kx), padding is zero.
func (p *convPlan) im2col(col, im []float32) {
	r := 0
	for c := range p.cg {
		plane := im[c*p.H*p.W : (c+1)*p.H*p.W]
		for ky := range p.KH {
			y0, yUntil := valid(p.oh, p.H, p.StrideH, p.PadH, ky*p.DilH)
			for kx := range p.KW {
				x0, xUntil := valid(p.ow, p.W, p.StrideW, p.PadW, kx*p.DilW)
				dst := col[r : r+p.out]
				r += p.out
				clear(dst[:y0*p.ow])
				for y := y0; y < yUntil; y++ {
					src := plane[(y*p.StrideH+ky*p.DilH-p.PadH)*p.W:][:p.W]
					row := dst[y*p.ow : (y+1)*p.ow]
					clear(row[:x0])
					gatherRow(row[x0:xUntil], src, x0*p.StrideW+kx*p.DilW-p.PadW, p.StrideW)
					clear(row[xUntil:])
				}
				clear(dst[yUntil*p.ow:])
			}
		}
	}
}

func gatherRow(dst, src []float32, from, stride int) {
	if stride == 1 {
		copyRow(dst, src[min(from, len(src)):])
		return
	}
	for i := range dst {
		dst[i] = src[from+i*stride]
	}
}

// copyRow is copy for rows of a few elements, where a call costs more than a loop.
func copyRow(dst, src []float32) {
	if len(dst) > 32 {
		copy(dst, src)
		return
	}
	src = src[:len(dst)]
	for i := range dst {
		dst[i] = src[i]
	}
}

// col2im adds the matrix of patches back into one group of one image, the adjoint
// of im2col.
func (p *convPlan) col2im(im, col []float32) {
	r := 0
	for c := range p.cg {
		plane := im[c*p.H*p.W : (c+1)*p.H*p.W]
		for ky := range p.KH {
			y0, yUntil := valid(p.oh, p.H, p.StrideH, p.PadH, ky*p.DilH)
			for kx := range p.KW {
				x0, xUntil := valid(p.ow, p.W, p.StrideW, p.PadW, kx*p.DilW)
				src := col[r : r+p.out]
				r += p.out
				if x0 == xUntil {
					continue
				}
				from := x0*p.StrideW + kx*p.DilW - p.PadW
				for y := y0; y < yUntil; y++ {
					dst := plane[(y*p.StrideH+ky*p.DilH-p.PadH)*p.W:][:p.W]
					scatterRow(dst[from:], src[y*p.ow+x0:y*p.ow+xUntil], p.StrideW)
				}
			}
		}
	}
}

func scatterRow(dst, src []float32, stride int) {
	if stride == 1 {
		dst = dst[:len(src)]
		for i, v := range src {
			dst[i] += v
		}
		return
	}
	for i, v := range src {
		dst[i*stride] += v
	}
}
