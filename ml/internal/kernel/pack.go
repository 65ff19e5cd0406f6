package kernel

// PackedB is a k x n weight matrix laid out once for the micro-kernels. It is
// read-only after PackB and may be shared by any number of goroutines.
//
// For each block of k the panels follow each other; a panel is its rows of
// panelCols columns, the last one filled with zeros.
type PackedB struct {
	k, n int
	step int // rows of a block over k
	w    []float32
}

// PackB packs the k x n matrix w, stored row-major, or n x k when trans is set
// (Chainer's Linear keeps W as outputs x inputs: pass trans).
func PackB(w []float32, k, n int, trans bool) *PackedB {
	p := &PackedB{k: k, n: n}
	if k == 0 || n == 0 {
		return p
	}
	ld := n
	if trans {
		ld = k
	}
	checkMatrix(w, trans, k, n, ld)
	p.step = evenBlock(k, packedK)
	width := roundUp(n, panelCols)
	p.w = make([]float32, k*width)
	hugePages(p.w)
	for pc := 0; pc < k; pc += p.step {
		packPanels(active, p.w[pc*width:], w, ld, trans, pc, min(p.step, k-pc), 0, n)
	}
	return p
}

// K returns the number of inputs, the rows of the packed matrix.
func (p *PackedB) K() int { return p.k }

// N returns the number of outputs, the columns of the packed matrix.
func (p *PackedB) N() int { return p.n }

// Bytes returns the memory that the packed weights take.
func (p *PackedB) Bytes() int { return len(p.w) * f32 }

// Mul computes y = act(x W + bias) for m rows of x, which lie ldx apart and are K
// long; rows of y lie ldy apart and are N long. bias is nil or N long. x and y
// must not overlap.
func (p *PackedB) Mul(m int, x []float32, ldx int, bias []float32, act Activation, y []float32, ldy int) {
	p.mul(active, m, x, ldx, bias, act, y, ldy)
}

func (p *PackedB) mul(l Level, m int, x []float32, ldx int, bias []float32, act Activation, y []float32, ldy int) {
	if m <= 0 || p.n == 0 {
		return
	}
	checkMatrix(y, false, m, p.n, ldy)
	var bp *float32
	last := 0
	if bias != nil {
		bp, last = &bias[:p.n][0], tileBias
	}
	last |= act.tileFlags()
	if p.k == 0 {
		clearMatrix(y, m, p.n, ldy)
		finishRows(l, y, m, p.n, ldy, bias, act)
		return
	}
	checkMatrix(x, false, m, p.k, ldx)
	p.blocks(l, m, x, ldx, bp, last, y, ldy)
	if !act.inTiles() {
		finishRows(l, y, m, p.n, ldy, nil, act)
	}
}

// blocks walks rows, then k, with the epilogue in the last block over k.
func (p *PackedB) blocks(l Level, m int, x []float32, ldx int, bias *float32, last int, y []float32, ldy int) {
	width := roundUp(p.n, panelCols)
	for ic := 0; ic < m; ic += blockM {
		mm := min(blockM, m-ic)
		flags := 0
		for pc := 0; pc < p.k; pc += p.step {
			kk := min(p.step, p.k-pc)
			var b *float32
			if pc+kk == p.k {
				flags, b = flags|last, bias
			}
			bp := panels{&p.w[pc*width], panelCols * f32, kk * panelCols * f32}
			block(l, mm, p.n, kk, operand{&x[ic*ldx+pc], ldx * f32, &unitOffsets[0]}, bp, &y[ic*ldy], ldy, flags, b)
			flags |= tileLoadC
		}
	}
}

// finishRows adds the bias and applies the activation where no micro-kernel did.
func finishRows(l Level, y []float32, m, n, ldy int, bias []float32, act Activation) {
	for i := range m {
		row := y[i*ldy : i*ldy+n]
		if bias != nil {
			add(l, row, row, bias[:n])
		}
		act.apply(l, row, row)
	}
}

// packPanels copies rows pc..pc+kk and columns jc..jc+nn of op(B) into panels.
func packPanels(l Level, dst, b []float32, ldb int, trans bool, pc, kk, jc, nn int) {
	if !trans {
		packRows(dst, b[pc*ldb+jc:], ldb, kk, nn)
		return
	}
	for j := 0; j < nn; j += panelCols {
		w := min(panelCols, nn-j)
		d := dst[j*kk : (j+panelCols)*kk]
		if w < panelCols {
			clear(d)
		}
		transposeInto(l, d, panelCols, b[(jc+j)*ldb+pc:], ldb, w, kk)
	}
}

// packRows walks B row by row, as it lies in memory.
func packRows(dst, b []float32, ldb, kk, nn int) {
	full := nn / panelCols
	for p := range kk {
		row := b[p*ldb:][:nn]
		d := dst[p*panelCols:]
		for j := range full {
			*(*[panelCols]float32)(d[j*kk*panelCols:]) = *(*[panelCols]float32)(row[j*panelCols:])
		}
		if rest := row[full*panelCols:]; len(rest) > 0 {
			tail := d[full*kk*panelCols:][:panelCols]
			clear(tail[copy(tail, rest):])
		}
	}
}
