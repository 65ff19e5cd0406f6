package main

import "fmt"

// The cells of recurrent networks are kernel's scalar loops, line by line. An
// LSTM's four gates lie side by side, so four vectors are loaded and transposed.
//
// Vector j holds units L*j..L*j+L-1 where L is the number of 128-bit lanes, lane k
// one unit. Two rounds of unpacking put the gate g of the units k, L+k, 2L+k and
// 3L+k into lane k of one vector. The other slices, with one element a unit, are
// permuted to the same order and back.

// hold is the register of value i that is kept while v0..v3 are worked with, 0..4.
func (w *vecWriter) hold(i int) int {
	if w.masked {
		return 4 + i
	}
	return 9 + i // 6 to 8 are for constants
}

// unpacked loads a vector of a slice with four elements a unit into v0..v3, one
// vector for each of the four; uses all of hold but the last.
func (w *vecWriter) unpacked(ptr int) {
	h0, h1, h2, h3 := w.hold(0), w.hold(1), w.hold(2), w.hold(3)
	for j := range 4 {
		w.loadFrom(j, w.fourth(ptr, j))
	}
	w.bin("UNPCKL", h0, 0, 1)
	w.bin("UNPCKH", h1, 0, 1)
	w.bin("UNPCKL", h2, 2, 3)
	w.bin("UNPCKH", h3, 2, 3)
	w.pairs(0, 1, h0, h2)
	w.pairs(2, 3, h1, h3)
}

// pack stores four vectors, one for each of a unit's elements, where unpacked would
// load them from; uses v0..v3, which a to d may not be.
func (w *vecWriter) pack(ptr, a, b, c, d int) {
	w.bin("UNPCKL", 0, a, b)
	w.bin("UNPCKL", 1, c, d)
	w.pairs(2, 3, 0, 1)
	w.storeTo(2, w.fourth(ptr, 0))
	w.storeTo(3, w.fourth(ptr, 1))
	w.bin("UNPCKH", 0, a, b)
	w.bin("UNPCKH", 1, c, d)
	w.pairs(2, 3, 0, 1)
	w.storeTo(2, w.fourth(ptr, 2))
	w.storeTo(3, w.fourth(ptr, 3))
}

// pairs puts the lower pairs of each lane of a and b into low, the upper into high.
func (w *vecWriter) pairs(low, high, a, b int) {
	w.ins("VUNPCKLPD %s, %s, %s", w.vreg(b), w.vreg(a), w.vreg(low))
	w.ins("VUNPCKHPD %s, %s, %s", w.vreg(b), w.vreg(a), w.vreg(high))
}

// fourth is where vector j of a slice with four elements a unit lies.
func (w *vecWriter) fourth(ptr, j int) string {
	return fmt.Sprintf("%d(%s)(R9*4)", j*w.bytes, ptrRegs[ptr])
}

// loadUnits and storeUnits are load and store between a slice with one element a
// unit and the order of unpacked. storeUnits may not be given v3, which it uses.
func (w *vecWriter) loadUnits(v, ptr int) {
	w.ins("VPERMPS %s, %s, %s", w.at(ptr, 0), w.order(false), w.vreg(v))
}

func (w *vecWriter) storeUnits(v, ptr int) {
	w.ins("VPERMPS %s, %s, %s", w.vreg(v), w.order(true), w.vreg(3))
	w.store(3, ptr)
}

// order returns a register with the units in the order of unpacked, or the places of
// the units in it.
func (w *vecWriter) order(back bool) string {
	n, lanes := w.bytes/4, w.bytes/16
	index := make([]int, n)
	for at := range index {
		unit := at/4 + at%4*lanes
		if back {
			index[unit] = at
		} else {
			index[at] = unit
		}
	}
	return w.words(index)
}

// words returns a register that holds 32-bit words, kept as constant keeps one.
func (w *vecWriter) words(v []int) string {
	name := "w"
	for _, x := range v {
		name += fmt.Sprintf("%x", x)
	}
	if r, ok := w.consts[name]; ok {
		return r
	}
	if !w.data[name] {
		w.data[name] = true
		for i, x := range v {
			fmt.Fprintf(w.decls, "DATA %s<>+%d(SB)/4, $%d\n", name, 4*i, x)
		}
		fmt.Fprintf(w.decls, "GLOBL %s<>(SB), RODATA|NOPTR, $%d\n", name, 4*len(v))
	}
	return w.kept(name, "VMOVUPS %s<>(SB), %s")
}

// complement sets dst to 1 - v.
func (w *vecWriter) complement(dst, v int) { w.bin("SUB", dst, 1.0, v) }

func (w *vecWriter) move(dst, v int) { w.ins("VMOVAPS %s, %s", w.vreg(v), w.vreg(dst)) }

// lstm is kernel.lstmScalar: pointers c, h, a, prev and, unless negative, gates.
func lstm(w *vecWriter, gates int) {
	in, ig, fg, og, c := w.hold(0), w.hold(1), w.hold(2), w.hold(3), w.hold(4)
	w.unpacked(2)
	w.move(ig, 1)
	w.move(fg, 2)
	w.move(og, 3)
	w.tanh()
	w.move(in, 0)
	for _, g := range []int{ig, fg, og} {
		w.move(0, g)
		w.sigmoid()
		w.move(g, 0)
	}
	w.bin("MUL", c, in, ig)
	w.loadUnits(0, 3)
	w.bin("MUL", 0, fg, 0)
	w.bin("ADD", c, c, 0)
	w.storeUnits(c, 0)
	w.move(0, c)
	w.tanh()
	w.bin("MUL", 0, og, 0)
	w.storeUnits(0, 1)
	if gates >= 0 {
		w.pack(gates, in, ig, fg, og)
	}
}

// lstmGrad is kernel.lstmGradScalar: pointers gcPrev, ga, gates, prev, c, gc, gh.
func lstmGrad(w *vecWriter) {
	tc := w.hold(4)
	w.loadUnits(0, 4)
	w.tanh()
	w.move(tc, 0)
	w.unpacked(2)
	in, ig, fg, og := 0, 1, 2, 3
	dh, dc, t, u := w.hold(0), w.hold(1), w.hold(2), w.hold(3)
	w.loadUnits(dh, 6)
	w.loadUnits(dc, 5)
	w.bin("MUL", t, dh, og)
	w.bin("MUL", u, tc, tc)
	w.complement(u, u)
	w.bin("MUL", t, t, u)
	w.bin("ADD", dc, dc, t)
	w.bin("MUL", t, dh, tc) // t: the output gate's gradient
	w.bin("MUL", t, t, og)
	w.complement(u, og)
	w.bin("MUL", t, t, u)
	w.loadUnits(dh, 3) // now dh: the forget gate's
	w.bin("MUL", u, dc, fg)
	w.storeUnits(u, 0) // og is no longer needed
	w.bin("MUL", dh, dc, dh)
	w.bin("MUL", dh, dh, fg)
	w.complement(u, fg)
	w.bin("MUL", dh, dh, u)
	w.bin("MUL", tc, dc, in) // tc: the input gate's
	w.bin("MUL", tc, tc, ig)
	w.complement(u, ig)
	w.bin("MUL", tc, tc, u)
	w.bin("MUL", dc, dc, ig) // dc: the input's
	w.bin("MUL", u, in, in)
	w.complement(u, u)
	w.bin("MUL", dc, dc, u)
	w.pack(1, dc, tc, dh, t)
}

// gru is kernel.gruScalar: pointers h, xg, hg, prev and, unless negative, gates.
func gru(w *vecWriter, gates int) {
	r, z := w.hold(0), w.hold(1)
	for i, gate := range []int{r, z} {
		w.loadFrom(0, w.at(1, i))
		w.loadFrom(1, w.at(2, i))
		w.bin("ADD", 0, 0, 1)
		w.sigmoid()
		w.move(gate, 0)
	}
	w.loadFrom(0, w.at(2, 2))
	w.bin("MUL", 0, r, 0)
	w.loadFrom(1, w.at(1, 2))
	w.bin("ADD", 0, 1, 0)
	w.tanh()
	if gates >= 0 {
		w.storeTo(r, w.at(gates, 0))
		w.storeTo(z, w.at(gates, 1))
		w.storeTo(0, w.at(gates, 2))
	}
	w.complement(1, z)
	w.bin("MUL", 1, 1, 0)
	w.load(2, 3)
	w.bin("MUL", 2, z, 2)
	w.bin("ADD", 1, 1, 2)
	w.store(1, 0)
}

// gruGrad is kernel.gruGradScalar: pointers ghPrev, gxg, ghg, gates, hg, prev, gh.
func gruGrad(w *vecWriter) {
	z, bar, r, g, t, u := 0, 1, 2, 3, w.hold(0), w.hold(1)
	dn, dr := w.hold(2), w.hold(3)
	w.loadFrom(r, w.at(3, 0))
	w.loadFrom(z, w.at(3, 1))
	w.loadFrom(bar, w.at(3, 2))
	w.load(g, 6)
	w.complement(u, z)
	w.bin("MUL", dn, g, u)
	w.bin("MUL", t, bar, bar)
	w.complement(t, t)
	w.bin("MUL", dn, dn, t)
	w.loadFrom(t, w.at(4, 2))
	w.bin("MUL", dr, dn, t)
	w.bin("MUL", dr, dr, r)
	w.complement(t, r)
	w.bin("MUL", dr, dr, t)
	w.load(t, 5)
	w.bin("SUB", t, t, bar) // t: z's gradient
	w.bin("MUL", t, g, t)
	w.bin("MUL", t, t, z)
	w.bin("MUL", t, t, u)
	w.bin("MUL", g, g, z)
	w.bin("MUL", r, dn, r)
	w.store(g, 0)
	for i, last := range []int{dn, r} {
		w.storeTo(dr, w.at(1+i, 0))
		w.storeTo(t, w.at(1+i, 1))
		w.storeTo(last, w.at(1+i, 2))
	}
}
