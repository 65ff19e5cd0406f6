package main

import (
	"bytes"
	"fmt"
)

// laneMasks is a table whose window of eight words, starting n words before its
// middle, has its first n words set: the masks of VMASKMOVPS.
const laneMasks = `
DATA laneMasks<>+0(SB)/8, $0xffffffffffffffff
DATA laneMasks<>+8(SB)/8, $0xffffffffffffffff
DATA laneMasks<>+16(SB)/8, $0xffffffffffffffff
DATA laneMasks<>+24(SB)/8, $0xffffffffffffffff
DATA laneMasks<>+32(SB)/8, $0xffffffffffffffff
DATA laneMasks<>+40(SB)/8, $0xffffffffffffffff
DATA laneMasks<>+48(SB)/8, $0xffffffffffffffff
DATA laneMasks<>+56(SB)/8, $0xffffffffffffffff
DATA laneMasks<>+64(SB)/8, $0
DATA laneMasks<>+72(SB)/8, $0
DATA laneMasks<>+80(SB)/8, $0
DATA laneMasks<>+88(SB)/8, $0
DATA laneMasks<>+96(SB)/8, $0
DATA laneMasks<>+104(SB)/8, $0
DATA laneMasks<>+112(SB)/8, $0
DATA laneMasks<>+120(SB)/8, $0
GLOBL laneMasks<>(SB), RODATA|NOPTR, $128
`

// writer writes one micro-kernel. Registers:
//
//	DI  tile            SI, AX  A of the two halves   R8, R9, R10  1, 3, 5 row strides
//	BX  B               R11     offset table          R12          B's step
//	CX  steps left      DX      tiles left            R13, R14     A at this step, of both halves
//	R15 B's next panel, or A of the next tile as far as it is prefetched
//
// Before and behind the steps R13 is a row of C and R14 from a row to the next; prefetchC
// goes over the rows of the next tile with them.
// The stack holds how far A and C have moved since the first tile.
type writer struct {
	target
	form
	out *bytes.Buffer
}

func (w *writer) ins(format string, args ...any) {
	fmt.Fprintf(w.out, "\t"+format+"\n", args...)
}

func (w *writer) label(name string) { fmt.Fprintf(w.out, "%s:\n", name) }

func (w *writer) vreg(n int) string { return fmt.Sprintf("%s%d", w.reg, n) }

// acc is the accumulator of row r, vector v.
func (w *writer) acc(r, v int) string { return w.vreg(r*w.vecs + v) }

// b is the register of B's vector v, free after the loop.
func (w *writer) b(v int) string { return w.vreg(w.rows*w.vecs + v) }

// bcast alternates between the registers that are left, two at least.
func (w *writer) bcast(r int) string {
	base := w.rows*w.vecs + w.vecs
	return w.vreg(base + r%min(w.regs-base, 6))
}

func (w *writer) half() int { return (w.rows + 1) / 2 }

func (w *writer) kernel() {
	fmt.Fprintf(w.out, "\n// func %s(t *tile)\nTEXT ·%s(SB), NOSPLIT, $16-8\n", w.funcName(w.target), w.funcName(w.target))
	w.ins("MOVQ t+0(FP), DI")
	w.masks()
	w.ins("MOVQ %d(DI), R8", fRsA)
	w.ins("LEAQ (R8)(R8*2), R9")
	w.ins("LEAQ (R8)(R8*4), R10")
	w.ins("MOVQ %d(DI), R12", fRsB)
	w.ins("MOVQ %d(DI), DX", fTiles)
	w.ins("MOVQ $0, movedA-8(SP)")
	w.ins("MOVQ $0, movedC-16(SP)")
	w.label("tile")
	w.start()
	w.prefetchC()
	w.steps()
	w.ins("MOVQ %d(DI), CX", fFlags)
	if w.pooled {
		w.poolRows()
	}
	w.epilogue()
	w.store()
	w.ins("MOVQ %d(DI), R13", fStepA)
	w.ins("ADDQ R13, movedA-8(SP)")
	w.ins("MOVQ %d(DI), R13", fStepC)
	w.ins("ADDQ R13, movedC-16(SP)")
	w.ins("DECQ DX")
	w.ins("JNZ tile")
	w.ins("VZEROUPPER")
	w.ins("RET")
}

// masks puts one opmask for each column vector into K1.., or for AVX2 a vector
// mask is loaded where it is needed.
func (w *writer) masks() {
	if !w.masked {
		return
	}
	w.ins("MOVQ %d(DI), CX", fCols)
	w.ins("MOVQ $-1, R13")
	w.ins("BZHIQ CX, R13, R13")
	for v := range w.vecs {
		w.ins("KMOVW R13, K%d", v+1)
		if v+1 < w.vecs {
			w.ins("SHRQ $16, R13")
		}
	}
}

// start sets the pointers of this tile and the accumulators to C or zero.
func (w *writer) start() {
	if w.pooled {
		w.clearAll()
		w.pointers()
		return
	}
	w.ins("TESTQ $%d, %d(DI)", flagLoadC, fFlags)
	w.ins("JZ zero")
	w.eachRowOfC(func(r int) {
		for v := range w.vecs {
			w.load(fmt.Sprintf("%d(R13)", v*w.bytes), w.acc(r, v), v)
		}
	})
	w.ins("JMP begin")
	w.label("zero")
	w.clearAll()
	w.label("begin")
	w.pointers()
}

func (w *writer) clearAll() {
	for i := range w.rows * w.vecs {
		w.zero(w.vreg(i))
	}
}

func (w *writer) pointers() {
	w.ins("MOVQ movedA-8(SP), R13")
	w.ins("MOVQ %d(DI), SI", fA0)
	w.ins("ADDQ R13, SI")
	w.ins("MOVQ %d(DI), AX", fA1)
	w.ins("ADDQ R13, AX")
	w.ins("MOVQ %d(DI), BX", fB)
	w.ins("MOVQ %d(DI), R11", fOff)
	w.ins("MOVQ %d(DI), CX", fK)
}

func (w *writer) zero(reg string) {
	if w.masked {
		w.ins("VPXORQ %s, %s, %s", reg, reg, reg)
		return
	}
	w.ins("VXORPS %s, %s, %s", reg, reg, reg)
}

// steps is the chain.
func (w *writer) steps() {
	if w.vecs == 4 {
		w.ins("MOVQ %d(DI), R15", fNextB)
		w.ins("ADDQ BX, R15")
	}
	if !w.far() {
		w.loop("step", func() {})
		return
	}
	w.ins("TESTQ $%d, %d(DI)", flagFar, fFlags)
	w.ins("JNZ far")
	w.loop("step", func() {})
	w.ins("JMP chained")
	w.label("far")
	w.ins("MOVQ %d(DI), R15", fStepA)
	w.ins("ADDQ SI, R15")
	w.loop("farStep", func() {
		w.ins("PREFETCHT0 (R15)")
		w.ins("ADDQ $%d, R15", 4*w.rows) // as much as a step reads
	})
	w.label("chained")
}

// loop is the steps that are left.
func (w *writer) loop(label string, also func()) {
	w.ins("PCALIGN $64")
	w.label(label)
	w.step()
	also()
	w.ins("DECQ CX")
	w.ins("JNZ %s", label)
}

// far tells whether there is a loop that prefetches the A of the next tile: the hardware's
// prefetchers don't recognise a tile's rows, which are read column by column. Low tiles
// have none.
func (w *writer) far() bool { return w.masked && !w.pooled && w.vecs == 2 && w.rows >= farRows }

const farRows = 8

// prefetchC prefetches the results of the next tile, or of none behind the last.
func (w *writer) prefetchC() {
	if !w.masked || w.pooled {
		return
	}
	w.ins("MOVQ %d(DI), R14", fLdc)
	for r := range w.rows {
		if r == 0 || r == w.half() {
			c := fC0
			if r > 0 {
				c = fC1
			}
			w.ins("MOVQ %d(DI), R13", c)
			w.ins("ADDQ movedC-16(SP), R13")
			w.ins("ADDQ %d(DI), R13", fStepC)
		} else {
			w.ins("ADDQ R14, R13")
		}
		for v := range w.vecs {
			w.ins("PREFETCHT0 %d(R13)", v*w.bytes)
		}
	}
}

// ahead is how far B is prefetched, in bytes: weights come from the third-level
// cache the first time, and the hardware's prefetcher stops at every page.
const ahead = 2048

// step is one step of the chain for the whole tile.
func (w *writer) step() {
	w.ins("MOVQ (R11), R13")
	for v := range w.vecs {
		if v >= 2 {
			w.ins("VMOVUPS %d(R15), %s", (v-2)*w.bytes, w.b(v))
			continue
		}
		w.ins("VMOVUPS %d(BX), %s", v*w.bytes, w.b(v))
		if w.masked {
			w.ins("PREFETCHT0 %d(BX)", ahead+v*w.bytes)
		}
	}
	for r := range w.rows {
		w.ins("VBROADCASTSS %s, %s", w.rowOfA(r), w.bcast(r))
		for v := range w.vecs {
			w.ins("VFMADD231PS %s, %s, %s", w.b(v), w.bcast(r), w.acc(r, v))
		}
	}
	w.ins("ADDQ R12, BX")
	if w.vecs == 4 {
		w.ins("ADDQ R12, R15")
	}
	w.ins("ADDQ $8, R11")
}

// rowOfA returns the address of row r at this step. Asked for row 0, it first moves
// R13 and R14 to the bases of the two halves.
func (w *writer) rowOfA(r int) string {
	if r == 0 {
		if w.rows > 1 {
			w.ins("LEAQ (AX)(R13*1), R14")
		}
		w.ins("ADDQ SI, R13")
	}
	base := "(R13)"
	if r >= w.half() {
		base, r = "(R14)", r-w.half()
	}
	return base + [...]string{"", "(R8*1)", "(R8*2)", "(R9*1)", "(R8*4)", "(R10*1)", "(R9*2)"}[r]
}
