package main

func vecOps() []vecOp {
	abc := []string{"y", "a", "b"}
	binary := func(name, op string) vecOp {
		return vecOp{name: name, ptrs: abc, body: func(w *vecWriter) {
			w.load(0, 1)
			w.load(1, 2)
			w.bin(op, 0, 0, 1)
			w.store(0, 0)
		}}
	}
	unary := func(name string, f func(w *vecWriter)) vecOp {
		return vecOp{name: name, ptrs: []string{"y", "x"}, body: func(w *vecWriter) {
			w.load(0, 1)
			f(w)
			w.store(0, 0)
		}}
	}
	return []vecOp{
		binary("addVec", "ADD"), binary("subVec", "SUB"), binary("mulVec", "MUL"), binary("divVec", "DIV"),
		{name: "addReLUVec", ptrs: abc, body: func(w *vecWriter) {
			w.load(0, 1)
			w.load(1, 2)
			w.bin("ADD", 0, 0, 1)
			w.bin("MAX", 0, 0.0, 0)
			w.store(0, 0)
		}},
		unary("reluVec", func(w *vecWriter) { w.bin("MAX", 0, 0.0, 0) }),
		{name: "reluGradVec", ptrs: []string{"gx", "y", "gy"}, body: reluGrad},
		{name: "axpyVec", ptrs: []string{"y", "x"}, scalars: []string{"alpha"}, body: func(w *vecWriter) {
			w.load(0, 1)
			w.bin("MUL", 0, 0, "alpha")
			w.load(1, 0)
			w.bin("ADD", 1, 1, 0)
			w.store(1, 0)
		}},
		{name: "scaleVec", ptrs: []string{"y"}, scalars: []string{"alpha"}, body: func(w *vecWriter) {
			w.load(0, 0)
			w.bin("MUL", 0, 0, "alpha")
			w.store(0, 0)
		}},
		{name: "shiftVec", ptrs: []string{"y"}, scalars: []string{"shift"}, body: func(w *vecWriter) {
			w.load(0, 0)
			w.bin("ADD", 0, 0, "shift")
			w.store(0, 0)
		}},
		{name: "affineVec", ptrs: []string{"y", "x"}, scalars: []string{"scale", "shift"}, body: func(w *vecWriter) {
			w.load(0, 1)
			w.bin("MUL", 0, 0, "scale")
			w.bin("ADD", 0, 0, "shift")
			w.store(0, 0)
		}},
		{name: "clipVec", ptrs: []string{"y", "x"}, scalars: []string{"low", "high"}, body: func(w *vecWriter) {
			w.load(0, 1)
			w.bin("MAX", 0, "low", 0)
			w.bin("MIN", 0, "high", 0)
			w.store(0, 0)
		}},
		{name: "momentumVec", ptrs: []string{"p", "grad", "v"}, scalars: []string{"lr", "momentum"}, body: func(w *vecWriter) {
			w.load(0, 2)
			w.bin("MUL", 0, 0, "momentum")
			w.load(1, 1)
			w.bin("MUL", 1, 1, "lr")
			w.bin("SUB", 0, 0, 1)
			w.store(0, 2)
			w.load(2, 0)
			w.bin("ADD", 2, 2, 0)
			w.store(2, 0)
		}},
		{name: "adamVec", ptrs: []string{"p", "grad", "m", "v"}, scalars: []string{"c1", "c2", "alpha", "eps", "eta", "decay"}, body: adam},
		{name: "normGradVec", ptrs: []string{"gx", "x", "gy"}, scalars: []string{"mean", "invStd", "meanG", "meanXG", "scale"}, body: normGrad},
		{name: "responseVec", ptrs: []string{"y", "x", "squares"}, blocks: true, scalars: []string{"alpha", "k"}, body: response},
		{name: "leakyReLUVec", ptrs: []string{"y", "x"}, scalars: []string{"slope"}, body: func(w *vecWriter) {
			w.load(0, 1)
			w.slope("slope")
			w.store(0, 0)
		}},
		{name: "preluVec", ptrs: []string{"y", "x", "slopes"}, body: func(w *vecWriter) {
			w.load(0, 1)
			w.load(3, 2)
			w.slope(3)
			w.store(0, 0)
		}},
		unary("sqrtVec", func(w *vecWriter) { w.ins("VSQRTPS %s, %s", w.vreg(0), w.vreg(0)) }),
		unary("expVec", func(w *vecWriter) { w.exp() }),
		unary("sigmoidVec", func(w *vecWriter) { w.sigmoid() }),
		unary("tanhVec", func(w *vecWriter) { w.tanh() }),
		{name: "lstmVec", ptrs: []string{"c", "h", "a", "prev"}, body: func(w *vecWriter) { lstm(w, -1) }},
		{name: "lstmGatesVec", ptrs: []string{"c", "h", "a", "prev", "gates"}, body: func(w *vecWriter) { lstm(w, 4) }},
		{name: "lstmGradVec", ptrs: []string{"gcPrev", "ga", "gates", "prev", "c", "gc", "gh"}, body: lstmGrad},
		{name: "gruVec", ptrs: []string{"h", "xg", "hg", "prev"}, blocks: true, body: func(w *vecWriter) { gru(w, -1) }},
		{name: "gruGatesVec", ptrs: []string{"h", "xg", "hg", "prev", "gates"}, blocks: true, body: func(w *vecWriter) { gru(w, 4) }},
		{name: "gruGradVec", ptrs: []string{"ghPrev", "gxg", "ghg", "gates", "hg", "prev", "gh"}, blocks: true, body: gruGrad},
	}
}

// reluGrad keeps gy where y is not <= 0.
func reluGrad(w *vecWriter) {
	const notLessOrEqual = 6
	w.load(0, 1)
	w.load(1, 2)
	if w.masked {
		w.ins("VCMPPS $%d, %s, %s, K1", notLessOrEqual, w.operand(0.0), w.vreg(0))
		w.ins("VMOVUPS.Z %s, K1, %s", w.vreg(1), w.vreg(1))
	} else {
		w.ins("VCMPPS $%d, %s, %s, %s", notLessOrEqual, w.operand(0.0), w.vreg(0), w.vreg(0))
		w.bin("AND", 1, 0, 1)
	}
	w.store(1, 0)
}

// slope multiplies v0 where it is below zero; uses v1 and v2.
func (w *vecWriter) slope(by any) {
	const less = 1
	if w.masked {
		w.ins("VCMPPS $%d, %s, %s, K1", less, w.operand(0.0), w.vreg(0))
		w.ins("VMULPS %s, %s, K1, %s", w.operand(by), w.vreg(0), w.vreg(0))
		return
	}
	w.bin("MUL", 1, 0, by)
	w.ins("VCMPPS $%d, %s, %s, %s", less, w.operand(0.0), w.vreg(0), w.vreg(2))
	w.ins("VBLENDVPS %s, %s, %s, %s", w.vreg(2), w.vreg(1), w.vreg(0), w.vreg(0))
}

// normGrad is kernel.NormGrad, line by line.
func normGrad(w *vecWriter) {
	w.load(0, 1) // x
	w.bin("SUB", 0, 0, "mean")
	w.bin("MUL", 0, 0, "invStd")
	w.bin("MUL", 0, 0, "meanXG")
	w.load(1, 2) // gy
	w.bin("SUB", 1, 1, "meanG")
	w.bin("SUB", 1, 1, 0)
	w.bin("MUL", 1, 1, "scale")
	w.store(1, 0)
}

// response is kernel.ResponseNorm, line by line. What is added up begins at the place
// of this turn in the squares and is a block long.
func response(w *vecWriter) {
	w.ins("LEAQ %s, R14", w.at(2, 0))
	w.ins("LEAQ %s, R15", w.at(2, 1))
	w.zero(w.vreg(0))
	w.label("window")
	w.ins("VADDPS (R14), %s, %s", w.vreg(0), w.vreg(0))
	w.ins("ADDQ $4, R14")
	w.ins("CMPQ R14, R15")
	w.ins("JLT window")
	w.bin("MUL", 0, 0, "alpha")
	w.bin("ADD", 0, 0, "k")
	w.ins("VSQRTPS %s, %s", w.vreg(0), w.vreg(0))
	w.ins("VSQRTPS %s, %s", w.vreg(0), w.vreg(1))
	w.bin("MUL", 0, 0, 1)
	w.load(1, 1)
	w.bin("DIV", 0, 1, 0)
	w.store(0, 0)
}

// adam is kernel.Adam, line by line.
func adam(w *vecWriter) {
	w.load(0, 1) // g
	w.load(1, 2) // m
	w.bin("SUB", 2, 0, 1)
	w.bin("MUL", 2, 2, "c1")
	w.bin("ADD", 1, 1, 2)
	w.store(1, 2)
	w.load(3, 3) // v
	w.bin("MUL", 2, 0, 0)
	w.bin("SUB", 2, 2, 3)
	w.bin("MUL", 2, 2, "c2")
	w.bin("ADD", 3, 3, 2)
	w.store(3, 3)
	w.ins("VSQRTPS %s, %s", w.vreg(3), w.vreg(3))
	w.bin("ADD", 3, 3, "eps")
	w.bin("MUL", 1, 1, "alpha")
	w.bin("DIV", 1, 1, 3)
	w.load(2, 0) // p
	w.bin("MUL", 3, 2, "decay")
	w.bin("ADD", 1, 1, 3)
	w.bin("MUL", 1, 1, "eta")
	w.bin("SUB", 2, 2, 1)
	w.store(2, 0)
}

// exp replaces v0 by kernel.exp32 of it; uses v1 and v2. The bounds are the second
// sources' counterparts so that a NaN passes.
func (w *vecWriter) exp() {
	w.bin("MAX", 0, expMin, 0)
	w.bin("MIN", 0, expMax, 0)
	w.bin("MUL", 1, 0, log2e)
	w.bin("ADD", 1, 1, 0.5)
	if w.masked {
		w.ins("VRNDSCALEPS $1, %s, %s", w.vreg(1), w.vreg(1))
	} else {
		w.ins("VROUNDPS $1, %s, %s", w.vreg(1), w.vreg(1))
	}
	w.bin("MUL", 2, 1, ln2Hi)
	w.bin("SUB", 0, 0, 2)
	w.bin("MUL", 2, 1, ln2Lo)
	w.bin("SUB", 0, 0, 2)
	w.poly(2, 0, expCoeffs)
	w.bin("MUL", 2, 2, 0)
	w.bin("MUL", 2, 2, 0)
	w.bin("ADD", 2, 2, 0)
	w.bin("ADD", 0, 2, 1.0)
	w.ins("VCVTPS2DQ %s, %s", w.vreg(1), w.vreg(1))
	w.ins("VPADDD %s, %s, %s", w.operand(uint32(127)), w.vreg(1), w.vreg(1))
	w.ins("VPSLLD $23, %s, %s", w.vreg(1), w.vreg(1))
	w.bin("MUL", 0, 0, 1)
}

// poly sets dst to the polynomial in x with the given coefficients, highest first.
func (w *vecWriter) poly(dst, x int, coeffs []float64) {
	w.ins("VMOVAPS %s, %s", w.operand(coeffs[0]), w.vreg(dst))
	for _, c := range coeffs[1:] {
		w.bin("MUL", dst, dst, x)
		w.bin("ADD", dst, dst, c)
	}
}

// The numbers of package kernel's exp.go.
const (
	expMax = 89.0
	expMin = -88.0
	log2e  = 1.44269504088896341
	ln2Hi  = 0.693359375
	ln2Lo  = -2.12194440e-4

	tanhSmall = 0.390625
)

var (
	expCoeffs  = []float64{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1}
	tanhCoeffs = []float64{-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1}
)

// sigmoid replaces v0 by kernel.sigmoid32 of it; uses v1 and v2.
func (w *vecWriter) sigmoid() {
	w.bin("XOR", 0, 0, uint32(1<<31))
	w.exp()
	w.bin("ADD", 0, 0, 1.0)
	w.bin("DIV", 0, 1.0, 0)
}

// tanh replaces v0 by kernel.tanh32 of it, both branches, then a choice; uses v1, v2
// and v3.
func (w *vecWriter) tanh() {
	w.ins("VMOVAPS %s, %s", w.vreg(0), w.vreg(3))
	w.bin("ADD", 0, 0, 0)
	w.exp()
	w.bin("ADD", 0, 0, 1.0)
	w.bin("ADD", 1, 1.0, 1.0)
	w.bin("DIV", 0, 1, 0)
	w.bin("SUB", 0, 1.0, 0)
	w.bin("MUL", 1, 3, 3)
	w.poly(2, 1, tanhCoeffs)
	w.bin("MUL", 2, 2, 1)
	w.bin("MUL", 2, 2, 3)
	w.bin("ADD", 2, 2, 3)
	const less = 1
	if w.masked {
		w.ins("VCMPPS $%d, %s, %s, K1", less, w.operand(tanhSmall), w.vreg(1))
		w.ins("VMOVAPS %s, K1, %s", w.vreg(2), w.vreg(0))
		return
	}
	w.ins("VCMPPS $%d, %s, %s, %s", less, w.operand(tanhSmall), w.vreg(1), w.vreg(1))
	w.ins("VBLENDVPS %s, %s, %s, %s", w.vreg(1), w.vreg(2), w.vreg(0), w.vreg(0))
}
