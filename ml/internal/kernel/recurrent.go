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
	for i := range n * units {
		g := a[4*i : 4*i+4 : 4*i+4]
		in, ig, fg, og := tanh32(g[0]), sigmoid32(g[1]), sigmoid32(g[2]), sigmoid32(g[3])
		v := in * ig
		if cPrev != nil {
			v += fg * cPrev[i]
		}
		c[i] = v
		h[i] = og * tanh32(v)
		if gates != nil {
			q := gates[4*i : 4*i+4 : 4*i+4]
			q[0], q[1], q[2], q[3] = in, ig, fg, og
		}
	}
}

// LSTMGrad computes ga (n x 4*units, may be gates itself) and gcPrev (nil if not
// wanted, may be gc) from the activated gates, cPrev (nil for zeros), the new c,
// and the gradients gc and gh (nil for zeros).
func LSTMGrad(ga, gcPrev, gates, cPrev, c, gc, gh []float32, n, units int) {
	for i := range n * units {
		g := gates[4*i : 4*i+4 : 4*i+4]
		in, ig, fg, og := g[0], g[1], g[2], g[3]
		tc := tanh32(c[i])
		var dh, dc, prev float32
		if gh != nil {
			dh = gh[i]
		}
		if gc != nil {
			dc = gc[i]
		}
		if cPrev != nil {
			prev = cPrev[i]
		}
		dc += dh * og * (1 - tc*tc)
		q := ga[4*i : 4*i+4 : 4*i+4]
		q[0] = dc * ig * (1 - in*in)
		q[1] = dc * in * ig * (1 - ig)
		q[2] = dc * prev * fg * (1 - fg)
		q[3] = dh * tc * og * (1 - og)
		if gcPrev != nil {
			gcPrev[i] = dc * fg
		}
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
	for i := range n {
		x, s := xg[i*3*units:(i+1)*3*units], hg[i*3*units:(i+1)*3*units]
		for u := range units {
			r := sigmoid32(x[u] + s[u])
			z := sigmoid32(x[units+u] + s[units+u])
			bar := tanh32(x[2*units+u] + r*s[2*units+u])
			var prev float32
			if hPrev != nil {
				prev = hPrev[i*units+u]
			}
			h[i*units+u] = (1-z)*bar + z*prev
			if gates != nil {
				q := gates[i*3*units:]
				q[u], q[units+u], q[2*units+u] = r, z, bar
			}
		}
	}
}

// GRUGrad computes gxg, ghg (n x 3*units) and ghPrev (n x units, the part that
// does not go through hg) from the gates that GRU left, hg, hPrev (nil for zeros)
// and gh.
func GRUGrad(gxg, ghg, ghPrev, gates, hg, hPrev, gh []float32, n, units int) {
	for i := range n {
		o := i * 3 * units
		q, s := gates[o:o+3*units], hg[o:o+3*units]
		gx, gs := gxg[o:o+3*units], ghg[o:o+3*units]
		for u := range units {
			r, z, bar, g := q[u], q[units+u], q[2*units+u], gh[i*units+u]
			var prev float32
			if hPrev != nil {
				prev = hPrev[i*units+u]
			}
			dn := g * (1 - z) * (1 - bar*bar)
			dr := dn * s[2*units+u] * r * (1 - r)
			dz := g * (prev - bar) * z * (1 - z)
			gx[u], gx[units+u], gx[2*units+u] = dr, dz, dn
			gs[u], gs[units+u], gs[2*units+u] = dr, dz, dn*r
			ghPrev[i*units+u] = g * z
		}
	}
}

// Blend computes y = (1-z)*a + z*b, the last line of a GRU that applies its
// reset before the product (Chainer's StatefulGRU: a is h, b is hBar).
func Blend(y, z, a, b []float32) {
	z, a, b = z[:len(y)], a[:len(y)], b[:len(y)]
	for i := range y {
		y[i] = (1-z[i])*a[i] + z[i]*b[i]
	}
}

// BlendGrad computes the gradients of Blend by z, a and b. Outputs may not be the
// same slices as inputs.
func BlendGrad(gz, ga, gb, z, a, b, gy []float32) {
	for i, g := range gy {
		gz[i] = g * (b[i] - a[i])
		ga[i] = g * (1 - z[i])
		gb[i] = g * z[i]
	}
}
