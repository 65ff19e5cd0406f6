package kernel

import "unsafe"

// panelCols is the width of a packed panel: 32 columns, two AVX-512 registers.
const panelCols = 32

// maxTileRows is the tallest tile of any level.
const maxTileRows = 14

const f32 = 4 // bytes in a float32

// Bits of tile.flags.
const (
	tileLoadC = 1 << iota // continue the chain that is in C, rather than from zero
	tileBias              // add bias[column] at the end
	tileReLU              // clamp at zero at the end, after the bias
	tileSix               // and at six, with tileReLU only
	tileFar               // prefetch the next tile's A, all of whose elements lie side by side
)

// tile is one call of a micro-kernel: a column of tiles C[rows][cols] that share
// one B panel and lie at a constant distance from one another in A and C.
//
// Row i of a tile of height h starts at a0 + i*rsA for i < h0 and at
// a1 + (i-h0)*rsA from there on, h0 = (h+1)/2; C rows alike with c0, c1 and ldc.
// A dense product sets a1 = a0 + h0*rsA; a convolution may put the second half
// on another image row. Step p reads A at +off[p] and B at b + p*rsB, a full
// vector wide even where fewer columns are valid. A pooling tile stores h/4 rows,
// each the maximum of two pixels of both halves. All distances are in bytes.
//
// Assembly reads the fields by offset: do not reorder. See gen.
type tile struct {
	k     int      // 0: steps of the chain, at least 1
	a0    *float32 // 8
	a1    *float32 // 16
	rsA   int      // 24
	off   *int     // 32: k offsets
	b     *float32 // 40
	rsB   int      // 48
	c0    *float32 // 56
	c1    *float32 // 64
	ldc   int      // 72
	cols  int      // 80: valid columns, at most the form's width
	flags int      // 88
	bias  *float32 // 96
	tiles int      // 104: tiles in this call, at least 1
	stepA int      // 112: from a tile to the next
	stepC int      // 120
	nextB int      // 128: two-panel form only, from a panel to the next one
}

// levelShape is what a level's micro-kernels can do.
type levelShape struct {
	rows   int  // tallest tile
	cols   int  // columns of a tile
	narrow int  // columns of the narrow form, 0 for none
	wide   int  // rows up to which the two-panel form exists, 0 for none
	pool   bool // has pooling tiles
}

func (l Level) shape() levelShape {
	switch l {
	case AVX512:
		return levelShape{rows: 14, cols: 32, narrow: 16, wide: 6, pool: true}
	case AVX2:
		return levelShape{rows: 6, cols: 16}
	}
	return levelShape{rows: 4, cols: 32}
}

// at returns the address that lies n bytes after p. The caller keeps it inside
// p's slice.
func at(p *float32, n int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), n)) }

// spread cuts n into the fewest pieces of at most limit whose sizes differ by at
// most one: many pieces of size, then fewer of size+1 first.
// It returns the number of larger pieces, the number of smaller ones and the
// smaller size.
func spread(n, limit int) (larger, smaller, size int) {
	pieces := (n + limit - 1) / limit
	size = n / pieces
	larger = n - size*pieces
	return larger, pieces - larger, size
}

// tilePortable is the reference for every micro-kernel.
func tilePortable(h int, t *tile) {
	var acc [maxTileRows][panelCols]float32
	h0 := (h + 1) / 2
	for n := range t.tiles {
		for i := range h {
			row := acc[i][:t.cols]
			a, c := t.row(n, i, h0)
			if t.flags&tileLoadC != 0 {
				copy(row, unsafe.Slice(c, t.cols))
			} else {
				clear(row)
			}
			t.accumulate(row, a)
			t.finish(row)
			copy(unsafe.Slice(c, t.cols), row)
		}
	}
}

// row returns the first elements of row i of the n-th tile in A and in C.
func (t *tile) row(n, i, h0 int) (a, c *float32) {
	if i < h0 {
		return at(t.a0, n*t.stepA+i*t.rsA), at(t.c0, n*t.stepC+i*t.ldc)
	}
	return at(t.a1, n*t.stepA+(i-h0)*t.rsA), at(t.c1, n*t.stepC+(i-h0)*t.ldc)
}

// accumulate runs the chain of one row. The conversion of the product keeps the
// compiler from fusing it on some architectures only.
func (t *tile) accumulate(row []float32, a *float32) {
	off := unsafe.Slice(t.off, t.k)
	for p := range t.k {
		v := *at(a, off[p])
		b := unsafe.Slice(at(t.b, p*t.rsB), len(row))
		for j := range row {
			row[j] += float32(v * b[j])
		}
	}
}

// finish applies the epilogue to one row.
func (t *tile) finish(row []float32) {
	if t.flags&tileBias != 0 {
		for j, v := range unsafe.Slice(t.bias, len(row)) {
			row[j] += v
		}
	}
	if t.flags&tileReLU != 0 {
		for j, v := range row {
			row[j] = max(v, 0)
		}
	}
	if t.flags&tileSix != 0 {
		for j, v := range row {
			row[j] = min(v, 6)
		}
	}
}
