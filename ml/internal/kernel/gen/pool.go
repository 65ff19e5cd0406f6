package main

import (
	"bytes"
	"fmt"
	"slices"
)

// Offsets of the fields of kernel.poolBlock.
const (
	pX, pY, pIndex, pRows, pN, pKH, pKW = 0, 8, 16, 24, 32, 40, 48
	pRow, pTap, pPixel, pC, pDown, pOut = 56, 64, 72, 80, 88, 96
	pScale, pFirst, pSkip, pNext        = 104, 108, 112, 120
)

// poolForm is one pooling kernel, which makes a rectangle of results. Those of
// columns work on planes (NCHW), whose lanes are adjacent results with windows one
// or two columns apart; those of pixels on images (NHWC), whose lanes are channels.
//
// Each lane goes over its window row by row, as the portable loop does, so the
// results are the same bits. Pixels of many channels take four vectors side by
// side, so that one's additions needn't wait for another's. Registers:
//
//	DI poolBlock   SI window   DX results   R8 index   CX columns or pixels left
//	R9 a window row, R14 a window column in bytes      R10, R11 row, column in the window
//	R12, R13 rows, columns left                        AX, BX temporaries
//	v0 taken, v1 best or sum, v2 its position, v3 position, v4.. constants
//
// The gradient of maxima has the gradients at SI and those of the results at DX.
type poolForm struct {
	name   string
	max    bool
	stride int // of columns; 0 for pixels
	grad   bool
}

func poolForms() []poolForm {
	return []poolForm{
		{"maxColumns1", true, 1, false}, {"maxColumns2", true, 2, false}, {"maxPixels", true, 0, false},
		{"sumColumns1", false, 1, false}, {"sumColumns2", false, 2, false}, {"sumPixels", false, 0, false},
		{"maxGrad2", true, 2, true}, {"sumGrad2", false, 2, true},
	}
}

// pools are the forms that a target has: gradients are bound by memory, and vectors
// of AVX2 are enough for both.
func (t target) pools() []poolForm {
	return slices.DeleteFunc(poolForms(), func(f poolForm) bool { return f.grad && t.masked })
}

// Registers of constants.
const (
	vStart = 4 + iota // positions of the first elements of this block's windows
	vBlock            // what they move by to the next block
	vOne
	vSkip // from behind a window's row to the next row
	vEven // AVX-512: indices of the even ones of 32 elements
	vScale
	vMask              // AVX2: lanes of the results, then of the two vectors that are read
	vWide  = vMask + 1 // the four vectors side by side, of pixels only
	vTests = vMask + 3 // AVX2: results of comparisons, two, of columns only
)

type poolWriter struct {
	writer
	f poolForm
}

func (w *poolWriter) name() string { return fmt.Sprintf("%sx%d", w.f.name, w.bytes/4) }

// index tells whether positions are kept.
func (w *poolWriter) index() bool { return w.f.max && w.f.stride > 0 }

func (w *poolWriter) write() {
	fmt.Fprintf(w.out, "\n// func %s(p *poolBlock)\nTEXT ·%s(SB), NOSPLIT, $0-8\n", w.name(), w.name())
	w.ins("MOVQ p+0(FP), DI")
	w.ins("MOVQ %d(DI), R9", pRow)
	w.ins("MOVQ %d(DI), R14", pTap)
	w.constants()
	w.label("row")
	w.ins("MOVQ %d(DI), SI", pX)
	w.ins("MOVQ %d(DI), DX", pY)
	w.ins("MOVQ %d(DI), CX", pN)
	switch {
	case w.f.grad:
		w.pairs()
	case w.f.stride == 0:
		w.pixels()
	default:
		w.columns()
	}
	// The pointers move only where there is another row, so that they never leave
	// their slices.
	w.ins("DECQ %d(DI)", pRows)
	w.ins("JZ done")
	w.ins("MOVQ %d(DI), AX", pDown)
	w.ins("ADDQ AX, %d(DI)", pX)
	w.ins("MOVQ %d(DI), BX", pOut)
	w.ins("ADDQ BX, %d(DI)", pY)
	if w.index() {
		w.ins("SHRQ $2, AX")
		w.ins("ADDL AX, %d(DI)", pFirst)
		w.ins("CMPQ %d(DI), $0", pIndex)
		w.ins("JEQ row")
		w.ins("ADDQ BX, %d(DI)", pIndex)
	}
	w.ins("JMP row")
	w.label("done")
	w.ins("VZEROUPPER")
	w.ins("RET")
}

func (w *poolWriter) constants() {
	if !w.f.max {
		w.ins("VBROADCASTSS %d(DI), %s", pScale, w.vreg(vScale))
	}
	if w.index() {
		w.ins("VPBROADCASTD positions%d<>+%d(SB), %s", w.f.stride, w.bytes, w.vreg(vBlock))
		w.ins("VPBROADCASTD positions1<>+4(SB), %s", w.vreg(vOne))
		w.ins("VPBROADCASTD %d(DI), %s", pSkip, w.vreg(vSkip))
	}
	if w.masked && w.f.stride == 2 {
		w.ins("VMOVUPS positions2<>(SB), %s", w.vreg(vEven))
	}
}

// columns makes blocks of results that lie side by side.
func (w *poolWriter) columns() {
	if w.index() {
		w.start()
	}
	w.label("block")
	w.mask("CX")
	w.window("", w.narrow())
	w.save(1, "DX", "CX", "stored")
	if w.index() {
		w.ins("TESTQ R8, R8")
		w.ins("JZ next")
		w.save(2, "R8", "CX", "indexed")
		w.ins("ADDQ $%d, R8", w.bytes)
		w.label("next")
		w.ins("VPADDD %s, %s, %s", w.vreg(vBlock), w.vreg(vStart), w.vreg(vStart))
	}
	w.ins("ADDQ $%d, SI", w.bytes*w.f.stride)
	w.ins("ADDQ $%d, DX", w.bytes)
	w.ins("SUBQ $%d, CX", w.bytes/4)
	w.ins("JG block")
}

// start sets the index and the positions of a row's first block.
func (w *poolWriter) start() {
	w.ins("MOVQ %d(DI), R8", pIndex)
	w.ins("VPBROADCASTD %d(DI), %s", pFirst, w.vreg(vStart))
	w.ins("VPADDD positions%d<>(SB), %s, %s", w.f.stride, w.vreg(vStart), w.vreg(vStart))
}

// Registers of pairs. The first three are those of vEven, vScale and vMask, which maxima don't
// need; sums use vScale and neither vIndex nor vAt.
const (
	vIndex = 8 + iota
	vAt    // positions in a line of the window
	vGrad  // of the results
	vLeft
	vRight
	vLow
	vHigh
)

// pairs writes the gradients at SI of windows that are two columns wide and don't
// overlap, from those of the results at DX. The last block of a row goes back over
// what is made already to be a whole one, so there are at least as many results as a
// vector has lanes.
func (w *poolWriter) pairs() {
	r := w.vreg
	if w.f.max {
		w.start()
	}
	w.label("block")
	w.ins("CMPQ CX, $%d", w.bytes/4)
	w.ins("JGE whole")
	w.ins("LEAQ -%d(SI)(CX*8), SI", 2*w.bytes)
	w.ins("LEAQ -%d(DX)(CX*4), DX", w.bytes)
	if w.f.max {
		w.ins("LEAQ -%d(R8)(CX*4), R8", w.bytes)
		w.ins("LEAQ -%d(CX)(CX*1), AX", w.bytes/2)
		w.ins("VMOVD AX, X%d", vAt)
		w.ins("VPBROADCASTD X%d, %s", vAt, r(vAt))
		w.ins("VPADDD %s, %s, %s", r(vAt), r(vStart), r(vStart))
	}
	w.label("whole")
	w.ins("VMOVUPS (DX), %s", r(vGrad))
	if w.f.max {
		w.ins("VMOVUPS (R8), %s", r(vIndex))
		w.ins("VMOVAPS %s, %s", r(vStart), r(vAt))
	} else {
		w.ins("VMULPS %s, %s, %s", r(vScale), r(vGrad), r(vGrad))
	}
	w.ins("VXORPS %s, %s, %s", r(vLow), r(vLow), r(vLow))
	w.ins("VADDPS %s, %s, %s", r(vLow), r(vGrad), r(vGrad)) // -0 gives 0, as where gradients are added up
	if !w.f.max {
		w.interleave(vGrad, vGrad)
	}
	w.ins("MOVQ SI, R10")
	w.ins("MOVQ %d(DI), R12", pKH)
	w.label("line")
	if w.f.max {
		w.chosen()
		w.interleave(vLeft, vRight)
		w.ins("VPADDD %s, %s, %s", r(vSkip), r(vAt), r(vAt))
	}
	w.ins("VMOVUPS %s, (R10)", r(vLeft))
	w.ins("VMOVUPS %s, %d(R10)", r(vRight), w.bytes)
	w.ins("ADDQ R9, R10")
	w.ins("DECQ R12")
	w.ins("JNZ line")
	w.ins("ADDQ $%d, SI", 2*w.bytes)
	w.ins("ADDQ $%d, DX", w.bytes)
	if w.f.max {
		w.ins("VPADDD %s, %s, %s", r(vBlock), r(vStart), r(vStart))
		w.ins("ADDQ $%d, R8", w.bytes)
	}
	w.ins("SUBQ $%d, CX", w.bytes/4)
	w.ins("JG block")
}

// chosen sets left and right to the gradients where the index is the position of the
// window's left or right column, else 0.
func (w *poolWriter) chosen() {
	r := w.vreg
	w.ins("VPADDD %s, %s, %s", r(vOne), r(vAt), r(vRight))
	w.ins("VPCMPEQD %s, %s, %s", r(vIndex), r(vAt), r(vLeft))
	w.ins("VPCMPEQD %s, %s, %s", r(vIndex), r(vRight), r(vRight))
	w.ins("VANDPS %s, %s, %s", r(vGrad), r(vLeft), r(vLeft))
	w.ins("VANDPS %s, %s, %s", r(vGrad), r(vRight), r(vRight))
}

// interleave puts the elements of a and b in turn into left and right.
func (w *poolWriter) interleave(a, b int) {
	r := w.vreg
	w.ins("VUNPCKLPS %s, %s, %s", r(b), r(a), r(vLow))
	w.ins("VUNPCKHPS %s, %s, %s", r(b), r(a), r(vHigh))
	w.ins("VPERM2F128 $0x20, %s, %s, %s", r(vHigh), r(vLow), r(vLeft))
	w.ins("VPERM2F128 $0x31, %s, %s, %s", r(vHigh), r(vLow), r(vRight))
}

// pixels makes the channels of each pixel in blocks. R8 counts channels, since there
// is no index.
func (w *poolWriter) pixels() {
	wide := 4 * w.bytes
	w.label("pixel")
	w.ins("MOVQ %d(DI), R8", pC)
	w.label("wide")
	w.ins("CMPQ R8, $%d", wide/4)
	w.ins("JLT block")
	w.window("wide", w.wide())
	for i := range 4 {
		w.ins("VMOVUPS %s, %d(DX)", w.vreg(vWide+i), i*w.bytes)
	}
	w.ins("ADDQ $%d, SI", wide)
	w.ins("ADDQ $%d, DX", wide)
	w.ins("SUBQ $%d, R8", wide/4)
	w.ins("JMP wide")
	w.label("block")
	w.ins("TESTQ R8, R8")
	w.ins("JLE channels")
	w.mask("R8")
	w.window("", w.narrow())
	w.save(1, "DX", "R8", "stored")
	w.ins("ADDQ $%d, SI", w.bytes)
	w.ins("ADDQ $%d, DX", w.bytes)
	w.ins("SUBQ $%d, R8", w.bytes/4)
	w.ins("JMP block")
	w.label("channels")
	// R8 is how far the last block went beyond the channels, or 0.
	w.ins("LEAQ (DX)(R8*4), DX")
	w.ins("ADDQ %d(DI), DX", pNext)
	w.ins("LEAQ (SI)(R8*4), SI")
	w.ins("MOVQ %d(DI), AX", pC)
	w.ins("SHLQ $2, AX")
	w.ins("SUBQ AX, SI")
	w.ins("ADDQ %d(DI), SI", pPixel)
	w.ins("DECQ CX")
	w.ins("JNZ pixel")
}

// mask makes masks for as many results as are left, but at most a vector, and for
// what they are read from.
func (w *poolWriter) mask(left string) {
	w.ins("MOVQ $%d, AX", w.bytes/4)
	w.ins("CMPQ %s, AX", left)
	w.ins("CMOVQLT %s, AX", left)
	if w.masked {
		w.ins("MOVQ $-1, BX")
		w.ins("BZHIQ AX, BX, R13")
		w.ins("KMOVW R13, K1")
		if w.f.stride == 2 {
			w.ins("LEAQ -1(AX)(AX*1), AX")
			w.ins("BZHIQ AX, BX, R13")
			w.ins("KMOVW R13, K2")
			w.ins("SHRQ $16, R13")
			w.ins("KMOVW R13, K3")
		}
		return
	}
	w.ins("LEAQ laneMasks<>+64(SB), BX")
	w.lanes(0)
	if w.f.stride == 2 {
		w.ins("LEAQ -1(AX)(AX*1), R13")
		w.ins("MOVQ $8, AX")
		w.ins("CMPQ R13, AX")
		w.ins("CMOVQLT R13, AX")
		w.lanes(1)
		w.ins("NEGQ AX") // what the first vector took
		w.ins("ADDQ R13, AX")
		w.lanes(2)
	}
}

// lanes sets AVX2's mask i to the first AX lanes. AX is kept.
func (w *poolWriter) lanes(i int) {
	w.ins("NEGQ AX")
	w.ins("VMOVUPS (BX)(AX*4), %s", w.vreg(vMask+i))
	w.ins("NEGQ AX")
}

// work is what window does: sums start at zero, the best with the first element;
// fold takes the others in.
type work struct{ start, fold, end func() }

// window goes over the windows of a block, which start at SI.
func (w *poolWriter) window(prefix string, do work) {
	tap, moved := prefix+"Tap", prefix+"Moved"
	w.ins("MOVQ SI, R10")
	w.ins("MOVQ %d(DI), R12", pKH)
	w.ins("MOVQ R10, R11")
	w.ins("MOVQ %d(DI), R13", pKW)
	do.start()
	if w.f.max {
		w.ins("JMP %s", moved)
	}
	w.label(tap)
	do.fold()
	if w.f.max {
		w.label(moved)
	}
	if w.index() {
		w.ins("VPADDD %s, %s, %s", w.vreg(vOne), w.vreg(3), w.vreg(3))
	}
	w.ins("ADDQ R14, R11")
	w.ins("DECQ R13")
	w.ins("JNZ %s", tap)
	if w.index() {
		w.ins("VPADDD %s, %s, %s", w.vreg(vSkip), w.vreg(3), w.vreg(3))
	}
	w.ins("ADDQ R9, R10")
	w.ins("MOVQ R10, R11")
	w.ins("MOVQ %d(DI), R13", pKW)
	w.ins("DECQ R12")
	w.ins("JNZ %s", tap)
	do.end()
}

// narrow works on one vector, of which lanes may be masked.
func (w *poolWriter) narrow() work {
	sum, best := w.vreg(1), w.vreg(1)
	if !w.f.max {
		return work{
			func() { w.ins("VXORPS %s, %s, %s", sum, sum, sum) },
			func() { w.take(); w.ins("VADDPS %s, %s, %s", w.vreg(0), sum, sum) },
			func() { w.ins("VMULPS %s, %s, %s", w.vreg(vScale), sum, sum) },
		}
	}
	return work{
		func() {
			w.take()
			w.ins("VMOVAPS %s, %s", w.vreg(0), best)
			if w.index() {
				w.ins("VMOVAPS %s, %s", w.vreg(vStart), w.vreg(2))
				w.ins("VMOVAPS %s, %s", w.vreg(vStart), w.vreg(3))
			}
		},
		func() { w.take(); w.better() },
		func() {},
	}
}

// wide works on four whole vectors.
func (w *poolWriter) wide() work {
	each := func(f func(v, from string)) func() {
		return func() {
			for i := range 4 {
				f(w.vreg(vWide+i), fmt.Sprintf("%d(R11)", i*w.bytes))
			}
		}
	}
	if !w.f.max {
		return work{
			each(func(v, _ string) { w.ins("VXORPS %s, %s, %s", v, v, v) }),
			each(func(v, from string) { w.ins("VADDPS %s, %s, %s", from, v, v) }),
			each(func(v, _ string) { w.ins("VMULPS %s, %s, %s", w.vreg(vScale), v, v) }),
		}
	}
	return work{
		each(func(v, from string) { w.ins("VMOVUPS %s, %s", from, v) }),
		each(func(v, from string) {
			w.ins("VMOVUPS %s, %s", from, w.vreg(0))
			w.larger(v)
		}),
		func() {},
	}
}

// take reads one element of each window, at R11, into v0; nothing beyond them.
func (w *poolWriter) take() {
	switch {
	case w.f.stride != 2 && w.masked:
		w.ins("VMOVUPS.Z (R11), K1, %s", w.vreg(0))
	case w.f.stride != 2:
		w.ins("VMASKMOVPS (R11), %s, %s", w.vreg(vMask), w.vreg(0))
	case w.masked:
		w.ins("VMOVUPS.Z (R11), K2, %s", w.vreg(0))
		w.ins("VMOVUPS.Z %d(R11), K3, %s", w.bytes, w.vreg(vMask))
		w.ins("VPERMT2PS %s, %s, %s", w.vreg(vMask), w.vreg(vEven), w.vreg(0))
	default: // elements 0 2 8 10, 4 6 12 14, then in order
		w.ins("VMASKMOVPS (R11), %s, %s", w.vreg(vMask+1), w.vreg(0))
		w.ins("VMASKMOVPS %d(R11), %s, %s", w.bytes, w.vreg(vMask+2), w.vreg(vEven))
		w.ins("VSHUFPS $0x88, %s, %s, %s", w.vreg(vEven), w.vreg(0), w.vreg(0))
		w.ins("VPERMPD $0xd8, %s, %s", w.vreg(0), w.vreg(0))
	}
}

// Predicates of VCMPPS.
const (
	unordered = 0x03
	ordered   = 0x07
	notAtMost = 0x16
)

// compare makes a mask of where a is in a relation to b.
func (w *poolWriter) compare(relation int, a, b string, mask int) string {
	name := fmt.Sprintf("K%d", 4+mask)
	switch {
	case w.masked:
	case w.f.stride == 0:
		name = w.vreg(vStart) // pixels have no positions
	default:
		name = w.vreg(vTests + mask)
	}
	w.ins("VCMPPS $%d, %s, %s, %s", relation, b, a, name)
	return name
}

// larger sets v to v0 where that is larger or a NaN; a NaN in v stays.
func (w *poolWriter) larger(v string) {
	w.ins("VMAXPS %s, %s, %s", v, w.vreg(0), v)
	w.blend(w.compare(unordered, w.vreg(0), w.vreg(0), 0), w.vreg(0), v)
}

// blend sets v to from where the mask is set.
func (w *poolWriter) blend(mask, from, v string) {
	if w.masked {
		w.ins("VMOVAPS %s, %s, %s", from, mask, v)
		return
	}
	w.ins("VBLENDVPS %s, %s, %s, %s", mask, from, v, v)
}

// better does the same for the best and its position: where v0 isn't at most the
// best, unless that is a NaN.
func (w *poolWriter) better() {
	best := w.vreg(1)
	if !w.index() {
		w.larger(best)
		return
	}
	number, more := w.compare(ordered, best, best, 0), w.compare(notAtMost, w.vreg(0), best, 1)
	if w.masked {
		w.ins("KANDW %s, %s, %s", number, more, more)
	} else {
		w.ins("VANDPS %s, %s, %s", number, more, more)
	}
	w.blend(more, w.vreg(0), best)
	w.blend(more, w.vreg(3), w.vreg(2))
}

// save writes the valid lanes of v. AVX2's masked stores are slow where there is
// nothing to mask.
func (w *poolWriter) save(v int, to, left, done string) {
	if w.masked {
		w.ins("VMOVUPS %s, K1, (%s)", w.vreg(v), to)
		return
	}
	w.ins("CMPQ %s, $%d", left, w.bytes/4)
	w.ins("JLT %s", done+"Part")
	w.ins("VMOVUPS %s, (%s)", w.vreg(v), to)
	w.ins("JMP %s", done)
	w.label(done + "Part")
	w.ins("VMASKMOVPS %s, %s, (%s)", w.vreg(v), w.vreg(vMask), to)
	w.label(done)
}

// poolFile returns the assembly of a target's pooling kernels.
func poolFile(t target) []byte {
	var b bytes.Buffer
	b.WriteString("// Code generated by gen; DO NOT EDIT.\n\n#include \"textflag.h\"\n")
	if !t.masked {
		b.WriteString(laneMasks)
	}
	n := t.bytes / 4
	for stride := 1; stride <= 2; stride++ {
		b.WriteString("\n")
		for i := range n + 1 {
			fmt.Fprintf(&b, "DATA positions%d<>+%d(SB)/4, $%d\n", stride, 4*i, stride*i)
		}
		fmt.Fprintf(&b, "GLOBL positions%d<>(SB), RODATA|NOPTR, $%d\n", stride, 4*n+4)
	}
	for _, f := range t.pools() {
		(&poolWriter{writer{target: t, out: &b}, f}).write()
	}
	return b.Bytes()
}

// poolStubs returns the declarations and the dispatch, a switch for the reason that
// stubs gives.
func poolStubs() []byte {
	var b bytes.Buffer
	b.WriteString("// Code generated by gen; DO NOT EDIT.\n\npackage kernel\n\n")
	b.WriteString("// runPool runs the level's pooling kernel of a kind.\nfunc runPool(l Level, k poolKind, p *poolBlock) {\nswitch k {\n")
	for _, f := range poolForms() {
		fmt.Fprintf(&b, "case %s:\n", f.name)
		if f.grad {
			fmt.Fprintf(&b, "%sx8(p)\n", f.name)
			continue
		}
		fmt.Fprintf(&b, "if l == AVX512 {\n%sx16(p)\n} else {\n%sx8(p)\n}\n", f.name, f.name)
	}
	b.WriteString("}\n}\n")
	for _, t := range targets() {
		for _, f := range t.pools() {
			fmt.Fprintf(&b, "\n//go:noescape\nfunc %sx%d(p *poolBlock)\n", f.name, t.bytes/4)
		}
	}
	return formatted(b.Bytes())
}
