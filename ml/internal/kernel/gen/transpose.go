package main

import "fmt"

// transpose writes a kernel that transposes square blocks of one vector's width:
//
//	func transposeN(dst, src *float32, dstStride, srcStride, blocks int)
//
// Block i is read from the rows src + r*srcStride + i*N*4 and written to the rows
// dst + (i*N+c)*dstStride. Two rounds of unpacking put, in every 128-bit lane L of
// register (g, j), column 4L+j of rows 4g..4g+3; what is left is to transpose whole
// lanes.
func (w *writer) transpose() {
	n := w.bytes / 4
	fmt.Fprintf(w.out, "\n// func transpose%d(dst, src *float32, dstStride, srcStride, blocks int)\n", n)
	fmt.Fprintf(w.out, "TEXT ·transpose%d(SB), NOSPLIT, $0-40\n", n)
	for i, arg := range []string{"dst", "src", "dstStride", "srcStride", "blocks"} {
		w.ins("MOVQ %s+%d(FP), %s", arg, 8*i, []string{"DI", "SI", "R8", "R9", "CX"}[i])
	}
	w.label("block")
	w.ins("MOVQ SI, AX")
	for r := range n {
		w.ins("VMOVUPS (AX), %s", w.vreg(r))
		if r+1 < n {
			w.ins("ADDQ R9, AX")
		}
	}
	for r := 0; r < n; r += 2 {
		w.ins("VUNPCKLPS %s, %s, %s", w.vreg(r+1), w.vreg(r), w.vreg(n+r))
		w.ins("VUNPCKHPS %s, %s, %s", w.vreg(r+1), w.vreg(r), w.vreg(n+r+1))
	}
	for g := 0; g < n; g += 4 {
		for j := range 4 {
			op := [...]string{"VUNPCKLPD", "VUNPCKHPD"}[j%2]
			w.ins("%s %s, %s, %s", op, w.vreg(n+g+2+j/2), w.vreg(n+g+j/2), w.vreg(g+j))
		}
	}
	for j := range 4 {
		if w.masked {
			w.lanes4(j)
		} else {
			w.ins("VPERM2F128 $0x20, %s, %s, %s", w.vreg(4+j), w.vreg(j), w.vreg(n+j))
			w.ins("VPERM2F128 $0x31, %s, %s, %s", w.vreg(4+j), w.vreg(j), w.vreg(n+4+j))
		}
	}
	for r := range n {
		w.ins("VMOVUPS %s, (DI)", w.vreg(n+r))
		w.ins("ADDQ R8, DI")
	}
	w.ins("ADDQ $%d, SI", w.bytes)
	w.ins("DECQ CX")
	w.ins("JNZ block")
	w.ins("VZEROUPPER")
	w.ins("RET")
}

// lanes4 transposes the four lanes of the four registers (g, j).
func (w *writer) lanes4(j int) {
	u := func(g int) string { return w.vreg(4*g + j) }
	out := func(lane int) string { return w.vreg(16 + 4*lane + j) }
	w.ins("VSHUFF32X4 $0x88, %s, %s, %s", u(1), u(0), out(0))
	w.ins("VSHUFF32X4 $0xdd, %s, %s, %s", u(1), u(0), out(1))
	w.ins("VSHUFF32X4 $0x88, %s, %s, %s", u(3), u(2), u(0))
	w.ins("VSHUFF32X4 $0xdd, %s, %s, %s", u(3), u(2), u(1))
	w.ins("VSHUFF32X4 $0xdd, %s, %s, %s", u(0), out(0), out(2))
	w.ins("VSHUFF32X4 $0x88, %s, %s, %s", u(0), out(0), out(0))
	w.ins("VSHUFF32X4 $0xdd, %s, %s, %s", u(1), out(1), out(3))
	w.ins("VSHUFF32X4 $0x88, %s, %s, %s", u(1), out(1), out(1))
}
