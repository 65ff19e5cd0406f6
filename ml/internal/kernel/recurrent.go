package kernel

// LSTM computes the elementwise part of an LSTM step for n rows of units cells, in
// Chainer's layout: a is n x 4*units with the gates interleaved (unit u has its
// input a, input gate i, forget gate f and output gate o at 4u..4u+3).
//
//	c = tanh(a)*sigmoid(i) + sigmoid(f)*cPrev
//	h = sigmoid(o)*tanh(c)
//
// gates (n x 4*units, may be a itself) receives the activated gates for LSTMGrad,
// or is nil in inference. cPrev nil stands for zeros; c may be cPrev.
func LSTM(c, h, gates, a, cPrev []float32, n, units int) {
	lstm(active, c, h, gates, a, cPrev, n*units)
}

func lstm(l Level, c, h, gates, a, cPrev []float32, size int) {
	for from := 0; from < size; {
		n := step(size-from, cPrev)
		prev := orZeros(cPrev, from, n)
		c, h, a := c[from:from+n], h[from:from+n], a[4*from:4*(from+n)]
		if gates == nil {
			lstmScalar(c, h, nil, a, prev, lstmVec(l, c, h, a, prev))
		} else {
			g := gates[4*from : 4*(from+n)]
			lstmScalar(c, h, g, a, prev, lstmGatesVec(l, c, h, a, prev, g))
		}
		from += n
	}
}

// lstmScalar computes the units from i on.
func lstmScalar(c, h, gates, a, prev []float32, i int) {
	for ; i < len(c); i++ {
		g := a[4*i : 4*i+4 : 4*i+4]
		in, ig, fg, og := tanh32(g[0]), sigmoid32(g[1]), sigmoid32(g[2]), sigmoid32(g[3])
		v := float32(in*ig) + float32(fg*prev[i])
		c[i] = v
		h[i] = og * tanh32(v)
		if gates != nil {
			q := gates[4*i : 4*i+4 : 4*i+4]
			q[0], q[1], q[2], q[3] = in, ig, fg, og
		}
	}
}

// zeros stand for states and gradients that are nil. They are never written.
var zeros [chunk]float32

// step is how many elements are worked on at once: all n, unless one of the slices
// is nil and zeros must do.
func step(n int, slices ...[]float32) int {
	for _, s := range slices {
		if s == nil {
			return min(n, chunk)
		}
	}
	return n
}

// orZeros returns elements [from, from+n), n at most chunk if x is nil.
func orZeros(x []float32, from, n int) []float32 {
	if x == nil {
		return zeros[:n]
	}
	return x[from : from+n]
}

// LSTMGrad computes ga (n x 4*units, may be gates itself) and gcPrev (nil if not
// wanted, may be gc) from the activated gates, cPrev (nil for zeros), the new c,
// and the gradients gc and gh (nil for zeros).
func LSTMGrad(ga, gcPrev, gates, cPrev, c, gc, gh []float32, n, units int) {
	lstmGrad(active, ga, gcPrev, gates, cPrev, c, gc, gh, n*units)
}

func lstmGrad(l Level, ga, gcPrev, gates, cPrev, c, gc, gh []float32, size int) {
	var unwanted [chunk]float32
	for from := 0; from < size; {
		n := step(size-from, gcPrev, cPrev, gc, gh)
		out := unwanted[:min(n, chunk)]
		if gcPrev != nil {
			out = gcPrev[from : from+n]
		}
		q, g := ga[4*from:4*(from+n)], gates[4*from:4*(from+n)]
		prev, c, dc, dh := orZeros(cPrev, from, n), c[from:from+n], orZeros(gc, from, n), orZeros(gh, from, n)
		lstmGradScalar(q, out, g, prev, c, dc, dh, lstmGradVec(l, out, q, g, prev, c, dc, dh))
		from += n
	}
}

// lstmGradScalar computes the units from i on.
func lstmGradScalar(ga, gcPrev, gates, prev, c, gc, gh []float32, i int) {
	for ; i < len(c); i++ {
		g := gates[4*i : 4*i+4 : 4*i+4]
		in, ig, fg, og := g[0], g[1], g[2], g[3]
		tc, dh := tanh32(c[i]), gh[i]
		dc := gc[i] + float32(dh*og*(1-float32(tc*tc)))
		q, before := ga[4*i:4*i+4:4*i+4], prev[i]
		q[0] = dc * ig * (1 - float32(in*in))
		q[1] = dc * in * ig * (1 - ig)
		q[2] = dc * before * fg * (1 - fg)
		q[3] = dh * tc * og * (1 - og)
		gcPrev[i] = dc * fg
	}
}

// GRU computes the elementwise part of a GRU step for n rows of units cells, gates
// blocked as reset, update, new: xg and hg (n x 3*units) are what the input and the
// previous state contribute, biases included.
//
//	r = sigmoid(xr + hr), z = sigmoid(xz + hz)
//	hBar = tanh(xn + r*hn)
//	h = (1-z)*hBar + z*hPrev
//
// This is cuDNN's and Chainer's n_step_gru (ONNX linear_before_reset = 1). gates
// (n x 3*units: r, z, hBar; nil in inference) is for GRUGrad. hPrev nil stands for
// zeros; h may be hPrev.
func GRU(h, gates, xg, hg, hPrev []float32, n, units int) {
	gru(active, h, gates, xg, hg, hPrev, n, units)
}

func gru(l Level, h, gates, xg, hg, hPrev []float32, n, units int) {
	eachRow(n, units, hPrev, func(at, blocks, size int) {
		h, prev := h[at:at+size], orZeros(hPrev, at, size)
		x, s := xg[blocks:blocks+2*units+size], hg[blocks:blocks+2*units+size]
		if gates == nil {
			gruScalar(h, nil, x, s, prev, units, gruVec(l, h, x, s, prev, units))
			return
		}
		q := gates[blocks : blocks+2*units+size]
		gruScalar(h, q, x, s, prev, units, gruGatesVec(l, h, x, s, prev, q, units))
	})
}

// eachRow calls f for each row of units, or a part of it if state is nil: size
// elements from at on in a slice of n x units, from blocks on in one of n x 3*units.
func eachRow(n, units int, state []float32, f func(at, blocks, size int)) {
	for i := range n {
		for from := 0; from < units; {
			size := step(units-from, state)
			f(i*units+from, i*3*units+from, size)
			from += size
		}
	}
}

// gruScalar computes the units from u on.
func gruScalar(h, gates, x, s, prev []float32, block, u int) {
	for ; u < len(h); u++ {
		r := sigmoid32(x[u] + s[u])
		z := sigmoid32(x[block+u] + s[block+u])
		bar := tanh32(x[2*block+u] + float32(r*s[2*block+u]))
		h[u] = float32((1-z)*bar) + float32(z*prev[u])
		if gates != nil {
			gates[u], gates[block+u], gates[2*block+u] = r, z, bar
		}
	}
}

// GRUGrad computes gxg, ghg (n x 3*units) and ghPrev (n x units, the part that
// does not go through hg) from the gates that GRU left, hg, hPrev (nil for zeros)
// and gh.
func GRUGrad(gxg, ghg, ghPrev, gates, hg, hPrev, gh []float32, n, units int) {
	gruGrad(active, gxg, ghg, ghPrev, gates, hg, hPrev, gh, n, units)
}

func gruGrad(l Level, gxg, ghg, ghPrev, gates, hg, hPrev, gh []float32, n, units int) {
	eachRow(n, units, hPrev, func(at, blocks, size int) {
		part := func(x []float32) []float32 { return x[blocks : blocks+2*units+size] }
		gx, gs, q, s := part(gxg), part(ghg), part(gates), part(hg)
		out, prev, g := ghPrev[at:at+size], orZeros(hPrev, at, size), gh[at:at+size]
		gruGradScalar(gx, gs, out, q, s, prev, g, units, gruGradVec(l, out, gx, gs, q, s, prev, g, units))
	})
}

// gruGradScalar computes the units from u on.
func gruGradScalar(gx, gs, ghPrev, q, s, prev, gh []float32, block, u int) {
	for ; u < len(ghPrev); u++ {
		r, z, bar, g := q[u], q[block+u], q[2*block+u], gh[u]
		dn := g * (1 - z) * (1 - float32(bar*bar))
		dr := dn * s[2*block+u] * r * (1 - r)
		dz := g * (prev[u] - bar) * z * (1 - z)
		gx[u], gx[block+u], gx[2*block+u] = dr, dz, dn
		gs[u], gs[block+u], gs[2*block+u] = dr, dz, dn*r
		ghPrev[u] = g * z
	}
}
