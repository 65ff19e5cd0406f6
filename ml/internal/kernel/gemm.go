package kernel

// Cache blocking. A panel of blockK x 32 floats is 32 KiB and stays in the
// first-level cache (48 KiB) while rows of A stream over it; a block of
// blockK x blockN is 1 MiB and shares the second level (2 MiB) with
// blockM x blockK of A (512 KiB).
const (
	blockK = 256
	blockN = 1024
	blockM = 512
)

// packedK bounds a block over k of packed weights: a panel of 1024 x 32 floats is
// 128 KiB and streams from the second-level cache for every tile, which costs less
// than to store and load C once more for each block.
const packedK = 1024

// Gemm computes C = alpha op(A) op(B) + beta C for row-major matrices: op(A) is
// m x k, op(B) is k x n, C is m x n. transA says that A is stored k x m, transB
// that B is stored n x k; lda, ldb and ldc are the distances between stored
// rows. With beta 0, C is written without being read.
func Gemm(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	gemm(active, transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
}

func gemm(l Level, transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if m <= 0 || n <= 0 {
		return
	}
	scaleMatrix(c, m, n, ldc, beta)
	if k <= 0 || alpha == 0 {
		if beta == 0 {
			clearMatrix(c, m, n, ldc)
		}
		return
	}
	checkMatrix(a, transA, m, k, lda)
	checkMatrix(b, transB, k, n, ldb)
	s := getScratch()
	defer putScratch(s)
	g := gemmCall{l: l, transA: transA, transB: transB, m: m, n: n, k: k, alpha: alpha, a: a, lda: lda, b: b, ldb: ldb, c: c, ldc: ldc, s: s}
	if beta != 0 {
		g.flags = tileLoadC
	}
	g.run()
}

// gemmCall is one product under way.
type gemmCall struct {
	l              Level
	transA, transB bool
	m, n, k        int
	alpha          float32
	a              []float32
	lda            int
	b              []float32
	ldb            int
	c              []float32
	ldc            int
	flags          int  // of the first block over k
	off            *int // offsets of a row of op(A)
	s              *scratch
}

// run walks the blocks: columns, then k, then rows.
func (g *gemmCall) run() {
	step := evenBlock(g.k, blockK)
	g.off = &unitOffsets[0]
	if g.transA {
		g.off = &offsets(grow(&g.s.off, step), g.lda*f32)[0]
	}
	for jc := 0; jc < g.n; jc += blockN {
		nn := min(blockN, g.n-jc)
		flags := g.flags
		for pc := 0; pc < g.k; pc += step {
			kk := min(step, g.k-pc)
			bp := g.panels(pc, kk, jc, nn)
			for ic := 0; ic < g.m; ic += blockM {
				mm := min(blockM, g.m-ic)
				block(g.l, mm, nn, kk, g.operand(ic, pc), bp, &g.c[ic*g.ldc+jc], g.ldc, flags, nil)
			}
			flags |= tileLoadC
		}
	}
}

// operand returns A from row i and column p on, read in place.
func (g *gemmCall) operand(i, p int) operand {
	if g.transA {
		return operand{&g.a[p*g.lda+i], f32, g.off}
	}
	return operand{&g.a[i*g.lda+p], g.lda * f32, g.off}
}

// panels returns B's block, packed unless reading it in place is cheaper.
func (g *gemmCall) panels(pc, kk, jc, nn int) panels {
	if !g.transB && g.alpha == 1 && g.m <= unpackedRows && nn%panelCols == 0 {
		return panels{&g.b[pc*g.ldb+jc], g.ldb * f32, panelCols * f32}
	}
	buf := grow(&g.s.b, kk*roundUp(nn, panelCols))
	packPanels(g.l, buf, g.b, g.ldb, g.transB, pc, kk, jc, nn)
	if g.alpha != 1 {
		for i := range buf {
			buf[i] *= g.alpha
		}
	}
	return panels{&buf[0], panelCols * f32, kk * panelCols * f32}
}

// unpackedRows is the number of rows of A up to which packing B costs more than
// it brings.
const unpackedRows = 64

// evenBlock returns the size of the blocks that cut n into the fewest blocks of
// about limit, all of nearly the same size.
func evenBlock(n, limit int) int {
	blocks := (n + limit + limit/4 - 1) / (limit + limit/4)
	return (n + blocks - 1) / blocks
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// checkMatrix panics when a stored matrix is shorter than its shape says.
func checkMatrix(a []float32, trans bool, rows, cols, ld int) {
	if trans {
		rows, cols = cols, rows
	}
	if ld < cols {
		panic("kernel: leading dimension is smaller than the row")
	}
	_ = a[(rows-1)*ld+cols-1]
}

// scaleMatrix multiplies C by beta, for a beta that the chain can't start from
// as it is.
func scaleMatrix(c []float32, m, n, ldc int, beta float32) {
	checkMatrix(c, false, m, n, ldc)
	if beta == 0 || beta == 1 {
		return
	}
	for i := range m {
		Scale(c[i*ldc:i*ldc+n], beta)
	}
}

func clearMatrix(c []float32, m, n, ldc int) {
	for i := range m {
		clear(c[i*ldc : i*ldc+n])
	}
}
