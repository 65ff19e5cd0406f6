package main

import "fmt"

// load reads vector v of C or of the bias, valid columns only.
func (w *writer) load(addr, reg string, v int) {
	if w.masked {
		w.ins("VMOVUPS.Z %s, K%d, %s", addr, v+1, reg)
		return
	}
	w.ins("VMASKMOVPS %s, %s, %s", addr, w.b(v), reg)
}

// save writes vector v of C, valid columns only.
func (w *writer) save(reg, addr string, v int) {
	if w.masked {
		w.ins("VMOVUPS %s, K%d, %s", reg, v+1, addr)
		return
	}
	w.ins("VMASKMOVPS %s, %s, %s", reg, w.b(v), addr)
}

// lanes loads AVX2's vector masks into the registers of B.
func (w *writer) lanes() {
	if w.masked {
		return
	}
	w.ins("MOVQ %d(DI), R13", fCols)
	w.ins("NEGQ R13")
	w.ins("LEAQ laneMasks<>+64(SB), R14")
	w.ins("LEAQ (R14)(R13*4), R14")
	for v := range w.vecs {
		w.ins("VMOVUPS %d(R14), %s", v*w.bytes, w.b(v))
	}
}

// eachRowOfC calls f with R13 at the start of each row of the tile in C.
func (w *writer) eachRowOfC(f func(r int)) {
	w.lanes()
	w.ins("MOVQ %d(DI), R14", fLdc)
	for r := range w.results() {
		switch {
		case r == 0:
			w.ins("MOVQ %d(DI), R13", fC0)
			w.ins("ADDQ movedC-16(SP), R13")
		case r == w.half() && !w.pooled:
			w.ins("MOVQ %d(DI), R13", fC1)
			w.ins("ADDQ movedC-16(SP), R13")
		default:
			w.ins("ADDQ R14, R13")
		}
		f(r)
	}
}

// poolRows takes the maximum of 2 x 2 rows of the product: pixels 2j and 2j+1 of
// both halves go to row j. A maximum loses a NaN that is its first source, so that
// lanes with one are set to all ones, which is one. The masks are free: K1 and K2 are
// those of the columns.
func (w *writer) poolRows() {
	for j := range w.rows / 4 {
		for v := range w.vecs {
			a, b, c, d := w.acc(2*j, v), w.acc(2*j+1, v), w.acc(w.half()+2*j, v), w.acc(w.half()+2*j+1, v)
			w.ins("VCMPPS $%d, %s, %s, K3", unordered, b, a)
			w.ins("VCMPPS $%d, %s, %s, K4", unordered, d, c)
			w.ins("KORW K3, K4, K3")
			w.ins("VMAXPS %s, %s, %s", b, a, w.bcast(0))
			w.ins("VMAXPS %s, %s, %s", d, c, w.bcast(1))
			to := w.acc(j, v)
			w.ins("VMAXPS %s, %s, %s", w.bcast(1), w.bcast(0), to)
			w.ins("VPTERNLOGD $255, %s, %s, K3, %s", to, to, to)
		}
	}
}

// results is the number of rows that are stored.
func (w *writer) results() int {
	if w.pooled {
		return w.rows / 4
	}
	return w.rows
}

// epilogue adds the bias and clamps. CX holds the flags. Maximum and minimum have the
// value as their second source, so that a NaN stays.
func (w *writer) epilogue() {
	w.ins("TESTQ $%d, CX", flagBias)
	w.ins("JZ unbiased")
	w.lanes()
	w.ins("MOVQ %d(DI), R13", fBias)
	for v := range w.vecs {
		w.load(fmt.Sprintf("%d(R13)", v*w.bytes), w.bcast(0), v)
		for r := range w.results() {
			w.ins("VADDPS %s, %s, %s", w.bcast(0), w.acc(r, v), w.acc(r, v))
		}
	}
	w.label("unbiased")
	w.clamp("linear", w.bcast(0), w.results()*w.vecs)
}

// six is the bound of ReLU6.
const six = `
DATA six<>+0(SB)/4, $0x40c00000
GLOBL six<>(SB), RODATA|NOPTR, $4
`

// clamp bounds the first n registers by zero and six, as the flags in CX say, and ends
// with a label.
func (w *writer) clamp(label, temp string, n int) {
	w.ins("TESTQ $%d, CX", flagReLU)
	w.ins("JZ %s", label)
	w.zero(temp)
	for i := range n {
		w.ins("VMAXPS %s, %s, %s", w.vreg(i), temp, w.vreg(i))
	}
	w.ins("TESTQ $%d, CX", flagSix)
	w.ins("JZ %s", label)
	w.ins("VBROADCASTSS six<>(SB), %s", temp)
	for i := range n {
		w.ins("VMINPS %s, %s, %s", w.vreg(i), temp, w.vreg(i))
	}
	w.label(label)
}

func (w *writer) store() {
	w.eachRowOfC(func(r int) {
		for v := range w.vecs {
			w.save(w.acc(r, v), fmt.Sprintf("%d(R13)", v*w.bytes), v)
		}
	})
}
