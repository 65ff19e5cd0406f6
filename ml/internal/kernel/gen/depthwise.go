package main

import (
	"bytes"
	"fmt"
)

// Offsets of the fields of kernel.depthTile.
const (
	dX, dY, dW, dBias, dPixel, dOut        = 0, 8, 16, 24, 32, 40
	dKH, dKW, dRow, dTap, dWRow, dWTap, dC = 48, 56, 64, 72, 80, 88, 96
	dFlags                                 = 104
)

// depthMask is AVX2's register for the mask.
const depthMask = 13

// depthWriter writes one depthwise kernel, which makes as many pixels as its height
// says, a vector of channels after the other, as they lie in memory. Every tap loads the
// weights of the channels once and, as the operand of a multiply-add, the channels of
// each pixel, so that there are nearly as many loads as multiply-adds, for which there
// are as many ports. Registers:
//
//	DI depthTile   R12 bytes of channels done           R15 results
//	BX weights     R13, R14 this tap of the pixels of both halves
//	R11, CX rows, columns of taps left                  AX from tap to tap
//	R8, R9, R10    1, 3, 5 distances from pixel to pixel
type depthWriter struct {
	writer
}

// depthHeight is the tallest tile.
func (t target) depthHeight() int {
	if t.masked {
		return 14
	}
	return 12
}

func (w *depthWriter) name() string { return fmt.Sprintf("depth%dx%d", w.rows, w.bytes/4) }

func (w *depthWriter) weights() string { return w.vreg(w.rows) }

func (w *depthWriter) temp() string { return w.vreg(w.regs - 1) }

// mask lies behind the accumulators and the weights of AVX2's tallest tile.
func (w *depthWriter) mask() string { return w.vreg(depthMask) }

func (w *depthWriter) write() {
	fmt.Fprintf(w.out, "\n// func %s(p *depthTile)\nTEXT ·%s(SB), NOSPLIT, $0-8\n", w.name(), w.name())
	w.ins("MOVQ p+0(FP), DI")
	w.ins("MOVQ %d(DI), R8", dPixel)
	w.ins("LEAQ (R8)(R8*2), R9")
	w.ins("LEAQ (R8)(R8*4), R10")
	w.ins("XORQ R12, R12")
	w.label("channels")
	w.ins("MOVQ %d(DI), R15", dY)
	w.ins("ADDQ R12, R15")
	w.ins("MOVQ %d(DI), AX", dC)
	w.ins("SUBQ R12, AX")
	w.ins("SHRQ $2, AX")
	if w.masked {
		w.ins("MOVQ $%d, CX", w.bytes/4)
		w.ins("CMPQ CX, AX")
		w.ins("CMOVQLT CX, AX")
		w.ins("MOVQ $-1, CX")
		w.ins("BZHIQ AX, CX, CX")
		w.ins("KMOVW CX, K1")
		w.channels("", true)
	} else {
		w.ins("CMPQ AX, $%d", w.bytes/4)
		w.ins("JLT partly")
		w.channels("whole", false)
		w.ins("JMP done")
		w.label("partly")
		w.ins("NEGQ AX")
		w.ins("LEAQ laneMasks<>+64(SB), CX")
		w.ins("VMOVUPS (CX)(AX*4), %s", w.mask())
		w.channels("part", true)
		w.label("done")
	}
	w.ins("ADDQ $%d, R12", w.bytes)
	w.ins("CMPQ R12, %d(DI)", dC)
	w.ins("JLT channels")
	w.ins("VZEROUPPER")
	w.ins("RET")
}

// channels makes one vector of channels, of which lanes are masked or not.
func (w *depthWriter) channels(prefix string, mask bool) {
	w.start(prefix, mask)
	w.ins("MOVQ %d(DI), BX", dW)
	w.ins("ADDQ R12, BX")
	w.ins("MOVQ %d(DI), R13", dX)
	w.ins("ADDQ R12, R13")
	if w.rows > 1 {
		w.ins("IMUL3Q $%d, R8, R14", w.half())
		w.ins("ADDQ R13, R14")
	}
	w.ins("MOVQ %d(DI), AX", dTap)
	w.ins("MOVQ %d(DI), R11", dKH)
	w.label(prefix + "Row")
	w.ins("MOVQ %d(DI), CX", dKW)
	w.label(prefix + "Tap")
	w.read("(BX)", w.weights(), mask)
	for r := range w.rows {
		w.multiply(r, mask)
	}
	w.move("AX")
	w.ins("ADDQ %d(DI), BX", dWTap)
	w.ins("DECQ CX")
	w.ins("JNZ %sTap", prefix)
	w.move(fmt.Sprintf("%d(DI)", dRow))
	w.ins("ADDQ %d(DI), BX", dWRow)
	w.ins("DECQ R11")
	w.ins("JNZ %sRow", prefix)
	w.finish(prefix, mask)
}

// start sets the accumulators to zero or to the results.
func (w *depthWriter) start(prefix string, mask bool) {
	w.ins("TESTQ $%d, %d(DI)", flagLoadC, dFlags)
	w.ins("JNZ %sLoad", prefix)
	for r := range w.rows {
		w.zero(w.vreg(r))
	}
	w.ins("JMP %sBegin", prefix)
	w.label(prefix + "Load")
	w.ins("MOVQ R15, R13")
	for r := range w.rows {
		w.read("(R13)", w.vreg(r), mask)
		w.ins("ADDQ %d(DI), R13", dOut)
	}
	w.label(prefix + "Begin")
}

// multiply adds a tap of pixel r times the weights.
func (w *depthWriter) multiply(r int, mask bool) {
	base, i := "(R13)", r
	if r >= w.half() {
		base, i = "(R14)", r-w.half()
	}
	from := base + [...]string{"", "(R8*1)", "(R8*2)", "(R9*1)", "(R8*4)", "(R10*1)", "(R9*2)"}[i]
	switch {
	case w.masked:
		w.ins("VFMADD231PS %s, %s, K1, %s", from, w.weights(), w.vreg(r))
	case mask:
		w.read(from, w.temp(), true)
		w.ins("VFMADD231PS %s, %s, %s", w.temp(), w.weights(), w.vreg(r))
	default:
		w.ins("VFMADD231PS %s, %s, %s", from, w.weights(), w.vreg(r))
	}
}

// move moves the pointers of the halves.
func (w *depthWriter) move(by string) {
	w.ins("ADDQ %s, R13", by)
	if w.rows > 1 {
		w.ins("ADDQ %s, R14", by)
	}
}

// finish adds the bias, clamps and stores.
func (w *depthWriter) finish(prefix string, mask bool) {
	w.ins("MOVQ %d(DI), CX", dFlags)
	w.ins("TESTQ $%d, CX", flagBias)
	w.ins("JZ %sUnbiased", prefix)
	w.ins("MOVQ %d(DI), R13", dBias)
	w.read("(R13)(R12*1)", w.temp(), mask)
	for r := range w.rows {
		w.ins("VADDPS %s, %s, %s", w.temp(), w.vreg(r), w.vreg(r))
	}
	w.label(prefix + "Unbiased")
	w.clamp(prefix+"Linear", w.temp(), w.rows)
	w.ins("MOVQ %d(DI), R13", dOut)
	for r := range w.rows {
		switch {
		case w.masked:
			w.ins("VMOVUPS %s, K1, (R15)", w.vreg(r))
		case mask:
			w.ins("VMASKMOVPS %s, %s, (R15)", w.vreg(r), w.mask())
		default:
			w.ins("VMOVUPS %s, (R15)", w.vreg(r))
		}
		w.ins("ADDQ R13, R15")
	}
}

// read loads a vector of channels.
func (w *depthWriter) read(from, to string, mask bool) {
	switch {
	case w.masked:
		w.ins("VMOVUPS.Z %s, K1, %s", from, to)
	case mask:
		w.ins("VMASKMOVPS %s, %s, %s", from, w.mask(), to)
	default:
		w.ins("VMOVUPS %s, %s", from, to)
	}
}

// depthFile returns the assembly of a target's depthwise kernels.
func depthFile(t target) []byte {
	var b bytes.Buffer
	b.WriteString("// Code generated by gen; DO NOT EDIT.\n\n#include \"textflag.h\"\n")
	b.WriteString(six)
	if !t.masked {
		b.WriteString(laneMasks)
	}
	for rows := range t.depthHeight() {
		(&depthWriter{writer{target: t, form: form{rows: rows + 1, vecs: 1}, out: &b}}).write()
	}
	return b.Bytes()
}

// depthStubs returns the declarations and the dispatch, a switch for the reason that
// stubs gives.
func depthStubs() []byte {
	var b, declared bytes.Buffer
	b.WriteString("// Code generated by gen; DO NOT EDIT.\n\npackage kernel\n\n")
	b.WriteString("// runDepth runs the level's depthwise kernel for h pixels.\nfunc runDepth(l Level, h int, p *depthTile) {\nif l == AVX512 {\nswitch h {\n")
	for i, t := range targets() {
		if i > 0 {
			b.WriteString("}\nreturn\n}\nswitch h {\n")
		}
		for rows := range t.depthHeight() {
			name := (&depthWriter{writer{target: t, form: form{rows: rows + 1}}}).name()
			fmt.Fprintf(&b, "case %d:\n%s(p)\n", rows+1, name)
			fmt.Fprintf(&declared, "\n//go:noescape\nfunc %s(p *depthTile)\n", name)
		}
	}
	b.WriteString("}\n}\n")
	b.Write(declared.Bytes())
	return formatted(b.Bytes())
}
