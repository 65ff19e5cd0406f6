package kernel

// operand is op(A) as the micro-kernels read it: element (i, p) lies rs*i + off[p]
// bytes after ptr.
type operand struct {
	ptr *float32
	rs  int
	off *int
}

// unitOffsets are the offsets of adjacent elements, for the longest block over k.
var unitOffsets = offsets(make([]int, packedK+packedK/4), f32)

// offsets fills off with the multiples of step.
func offsets(off []int, step int) []int {
	for i := range off {
		off[i] = i * step
	}
	return off
}

// panels is op(B) cut into panels of panelCols columns: row p of panel j lies
// step*j + rs*p bytes after ptr.
type panels struct {
	ptr  *float32
	rs   int
	step int
}

// block computes C[m][n] (+)= A[m][k] B[k][n] for a k that needs no further
// blocking, panel by panel so that a panel stays in the first-level cache while
// all rows pass over it. bias may be nil.
func block(l Level, m, n, k int, a operand, b panels, c *float32, ldc, flags int, bias *float32) {
	s := l.shape()
	t := tile{k: k, rsA: a.rs, off: a.off, rsB: b.rs, ldc: ldc * f32, flags: flags, nextB: b.step}
	for j := 0; j < n; {
		if m <= s.wide && n-j > panelCols {
			t.cols = min(2*panelCols, n-j)
		} else {
			t.cols = min(s.cols, n-j)
		}
		t.b = at(b.ptr, j/panelCols*b.step+j%panelCols*f32)
		if bias != nil {
			t.bias = at(bias, j*f32)
		}
		t.column(l, s, m, a, at(c, j*f32))
		j += t.cols
	}
}

// column runs the tiles of one panel over all m rows.
func (t *tile) column(l Level, s levelShape, m int, a operand, c *float32) {
	larger, smaller, size := spread(m, s.rows)
	if larger > 0 {
		t.stack(l, larger, size+1, a.ptr, c)
	}
	if smaller > 0 {
		done := larger * (size + 1)
		t.stack(l, smaller, size, at(a.ptr, done*t.rsA), at(c, done*t.ldc))
	}
}

// stack runs n tiles of height h from a and c on.
func (t *tile) stack(l Level, n, h int, a, c *float32) {
	t.tiles, t.stepA, t.stepC = n, h*t.rsA, h*t.ldc
	t.a0, t.a1, t.c0, t.c1 = a, a, c, c
	if h > 1 {
		h0 := (h + 1) / 2
		t.a1, t.c1 = at(a, h0*t.rsA), at(c, h0*t.ldc)
	}
	runTile(l, h, t)
}
