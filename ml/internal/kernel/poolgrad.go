package kernel

// Gradients of pooling. Where windows lie side by side, two columns wide, kernels
// write the gradients of all whole windows of a plane; see pairs.

func maxPoolGrad(l Level, s PoolShape, gy []float32, index []int32, gx []float32) {
	p := planPool(l, s)
	in, out, pairs := p.H*p.W, p.oh*p.ow, p.pairs()
	if !pairs || !p.tiled() {
		clear(gx[:p.N*p.C*in])
	}
	for i := range p.N * p.C {
		plane, g, at := gx[i*in:(i+1)*in], gy[i*out:(i+1)*out], index[i*out:(i+1)*out]
		if pairs {
			p.maxPairs(plane, g, at)
			continue
		}
		addAt(plane, g, at)
	}
}

// maxPairs adds each result's gradient where its maximum was.
func (p *poolPlan) maxPairs(plane, gy []float32, index []int32) {
	rows, cols := p.rows.until, p.cols.until
	b := p.pairBlock(plane, gy)
	b.index, b.skip = &index[0], int32(p.W)
	runPool(p.level, maxGrad2, &b)
	for r := range rows {
		o := r * p.ow
		addAt(plane, gy[o+cols:o+p.ow], index[o+cols:])
	}
	addAt(plane, gy[rows*p.ow:], index[rows*p.ow:])
}

// addAt adds each element of g at its position, unless that is -1.
func addAt(plane, g []float32, index []int32) {
	index = index[:len(g)]
	for i, v := range g {
		if at := index[i]; at >= 0 {
			plane[at] += v
		}
	}
}

// pairs tells whether there are kernels for the gradients of whole windows.
func (p *poolPlan) pairs() bool {
	const vector = 8
	return p.level != Portable && p.KW == 2 && p.StrideW == 2 && p.KH <= p.StrideH && p.PadH == 0 && p.PadW == 0 &&
		p.cols.until >= vector && p.rows.until > 0
}

// tiled tells whether the whole windows of pairs are the whole image.
func (p *poolPlan) tiled() bool {
	return p.KH == p.StrideH && p.rows.until*p.StrideH == p.H && p.cols.until*p.StrideW == p.W
}

// pairBlock is the call of a kernel of pairs, for the whole windows of a plane.
func (p *poolPlan) pairBlock(plane, gy []float32) poolBlock {
	return poolBlock{
		x: &plane[0], y: &gy[0], rows: p.rows.until, n: p.cols.until,
		kh: p.KH, row: p.W * f32, down: p.StrideH * p.W * f32, out: p.ow * f32,
	}
}

// spreadPool adds each element of gy, times the weight of its window, to all
// positions of the window.
func spreadPool(l Level, s PoolShape, gy, gx []float32, mean bool) {
	p := planPool(l, s)
	if back, ok := p.adjoint(); ok {
		sumPool(l, back, gy, gx, mean)
		return
	}
	buf := getScratch()
	defer putScratch(buf)
	g, line := grow(&buf.a, p.oh*p.ow), grow(&buf.b, p.W)
	in, out, tiled := p.H*p.W, p.oh*p.ow, p.pairs() && p.tiled()
	for i := range p.N * p.C {
		from, plane := gy[i*out:(i+1)*out], gx[i*in:(i+1)*in]
		if tiled {
			b := p.pairBlock(plane, from)
			b.scale = p.weight(mean, 0, p.KH, 0, p.KW)
			runPool(l, sumGrad2, &b)
			continue
		}
		p.weigh(g, from, mean)
		p.spreadPlane(g, plane, line)
	}
}

// adjoint returns the pooling of gradients that has the same result: where windows
// are one apart and weigh the same, a position gets the sum of the gradients in a
// window round it. That is worth it where most of these windows are whole.
func (p *poolPlan) adjoint() (PoolShape, bool) {
	same := !p.ExcludePad || p.rows == (span{0, p.oh}) && p.cols == (span{0, p.ow})
	return PoolShape{
		N: p.N, C: p.C, H: p.oh, W: p.ow, KH: p.KH, KW: p.KW, StrideH: 1, StrideW: 1,
		PadH: p.KH - 1 - p.PadH, PadW: p.KW - 1 - p.PadW, FixedH: p.H, FixedW: p.W,
	}, same && p.StrideH == 1 && p.StrideW == 1 && p.ow > 2*p.KW
}

// weigh multiplies a plane of gradients with the weights of their windows.
func (p *poolPlan) weigh(g, gy []float32, mean bool) {
	if !mean || !p.ExcludePad {
		affine(p.level, g, gy, p.weight(mean, 0, p.KH, 0, p.KW), 0)
		return
	}
	for i, v := range gy {
		y0, y1 := window(i/p.ow, p.H, p.KH, p.StrideH, p.PadH)
		x0, x1 := window(i%p.ow, p.W, p.KW, p.StrideW, p.PadW)
		g[i] = v * p.weight(true, y0, y1, x0, x1)
	}
}

// spreadPlane spreads a plane's gradients. Windows are rectangles, so each row of
// gradients is first spread along the row, into line, and that is added to all rows
// of the windows, or copied to those that had nothing yet.
func (p *poolPlan) spreadPlane(g, plane, line []float32) {
	begun := 0 // rows of the plane that have something
	for r := range p.oh {
		y0, y1 := window(r, p.H, p.KH, p.StrideH, p.PadH)
		if y0 >= y1 {
			continue
		}
		p.spreadRow(line, g[r*p.ow:(r+1)*p.ow])
		if y0 > begun {
			clear(plane[begun*p.W : y0*p.W])
		}
		for y := y0; y < y1; y++ {
			to := plane[y*p.W : (y+1)*p.W]
			if y < begun {
				add(p.level, to, to, line)
			} else {
				copy(to, line)
			}
		}
		begun = max(begun, y1)
	}
	clear(plane[begun*p.W:])
}

// spreadRow adds each element of g to all columns of its window, those of earlier
// windows first.
func (p *poolPlan) spreadRow(line, g []float32) {
	clear(line)
	if len(g) == 1 {
		lo, until := window(0, p.W, p.KW, p.StrideW, p.PadW)
		Fill(line[lo:until], g[0])
		return
	}
	for k := p.KW - 1; k >= 0; k-- {
		c := max(0, (p.PadW-k+p.StrideW-1)/p.StrideW)
		for x := c*p.StrideW - p.PadW + k; c < len(g) && x < len(line); x += p.StrideW {
			line[x] += g[c]
			c++
		}
	}
}
