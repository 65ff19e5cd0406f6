package onnx

import (
	"github.com/hibana-engine/hibana/ml/op"
)

// lstm reads LSTM.
func lstm(im *importer, in []value) ([]value, error) {
	if err := im.refuse("input_forget", 0); err != nil {
		return nil, err
	}
	// ONNX has the gates in the order input, output, forget, cell.
	r := &recurrent{importer: im, gates: 4, order: []int{3, 0, 2, 1}, interleaved: true}
	if err := r.read(in, "Sigmoid", "Tanh", "Tanh"); err != nil {
		return nil, err
	}
	if !r.usual || has(in, 7) {
		r.order, r.interleaved = []int{0, 1, 2, 3}, false
	}
	for d := range r.backward {
		if r.interleaved {
			r.lstm(d)
		} else {
			r.lstmInParts(d)
		}
	}
	return r.finish()
}

// lstmInParts runs direction d of a cell with any functions f, g and h, whose gates may
// see its memory through the weights P (peepholes):
//
//	i, f, o = f(x W + h R + P c), c' = f c + i g(x W + h R), h' = o h(c')
//
// where o sees c'.
func (r *recurrent) lstmInParts(d int) {
	wx, wh := r.products(d)
	k, c := r.hidden, r.initial(6, d)
	var seen [3]value // P by gate
	if has(r.in, 7) {
		for i := range seen {
			seen[i] = r.shaped(r.part(r.part(r.in[7], 0, d, 1), 1, i*k, k), k)
		}
	}
	gate := func(i int, all, c value) value {
		x := r.part(all, 1, i*k, k)
		if has(r.in, 7) {
			x = r.try(op.Add{}, x, r.try(op.Mul{}, c, seen[i]))
		}
		return r.function(d, 0, x)
	}
	r.walk(d, func(h value, x []value) value {
		all := r.try(op.Add{}, x[0], r.product(h, wh))
		in, forget := gate(0, all, c), gate(2, all, c)
		fresh := r.function(d, 1, r.part(all, 1, 3*k, k))
		c = r.try(op.Add{}, r.try(op.Mul{}, forget, c), r.try(op.Mul{}, in, fresh))
		return r.try(op.Mul{}, gate(1, all, c), r.function(d, 2, c))
	}, r.product(r.x, wx))
	r.memory = append(r.memory, c)
}

// lstm runs direction d.
func (r *recurrent) lstm(d int) {
	wx, wh := r.products(d)
	c := r.initial(6, d)
	r.walk(d, func(h value, x []value) value {
		gates := r.try(op.Add{}, x[0], r.product(h, wh))
		if r.err != nil {
			return value{}
		}
		var next []value
		if next, r.err = r.applyAll(op.LSTM{}, c, gates); r.err != nil {
			return value{}
		}
		c = next[0]
		return next[1]
	}, r.product(r.x, wx))
	r.memory = append(r.memory, c)
}

// gru reads GRU.
func gru(im *importer, in []value) ([]value, error) {
	// ONNX has the gates in the order update, reset, hidden.
	r := &recurrent{importer: im, gates: 3, order: []int{1, 0, 2}}
	if err := r.read(in, "Sigmoid", "Tanh"); err != nil {
		return nil, err
	}
	for d := range r.backward {
		switch last := im.attr("linear_before_reset", 0) != 0; {
		case last && r.usual:
			r.gru(d)
		case last:
			r.gruInParts(d)
		default:
			r.gruResetFirst(d)
		}
	}
	return r.finish()
}

// gru runs direction d of a cell whose reset follows the product with the state.
func (r *recurrent) gru(d int) {
	wx, wh := r.products(d)
	r.walk(d, func(h value, x []value) value {
		return r.try(op.GRU{}, h, x[0], r.product(h, wh))
	}, r.product(r.x, wx))
}

// gruInParts runs direction d of such a cell with any functions f and g:
//
//	r, z = f(x Wrz + h Rrz), n = g(x Wn + r (h Rn)), h' = n + z (h - n)
func (r *recurrent) gruInParts(d int) {
	wx, wh := r.products(d)
	k := r.hidden
	r.walk(d, func(h value, x []value) value {
		y := r.product(h, wh)
		gates := r.function(d, 0, r.try(op.Add{}, r.part(x[0], 1, 0, 2*k), r.part(y, 1, 0, 2*k)))
		reset, update := r.part(gates, 1, 0, k), r.part(gates, 1, k, k)
		n := r.function(d, 1, r.try(op.Add{}, r.part(x[0], 1, 2*k, k), r.try(op.Mul{}, reset, r.part(y, 1, 2*k, k))))
		return r.between(h, n, update)
	}, r.product(r.x, wx))
}

// between is n + z (h - n).
func (r *recurrent) between(h, n, z value) value {
	return r.try(op.Add{}, n, r.try(op.Mul{}, z, r.try(op.Sub{}, h, n)))
}

// gruResetFirst runs direction d of a cell whose reset comes before the product
// with the state:
//
//	r, z = f(x Wrz + h Rrz), n = g(x Wn + (r h) Rn), h' = n + z (h - n)
func (r *recurrent) gruResetFirst(d int) {
	wx, wh := r.products(d)
	k := r.hidden
	gates, fresh := r.outputs(wh, 0, 2*k), r.outputs(wh, 2*k, k)
	r.walk(d, func(h value, x []value) value {
		g := r.function(d, 0, r.try(op.Add{}, x[0], r.product(h, gates)))
		reset, update := r.part(g, 1, 0, k), r.part(g, 1, k, k)
		n := r.function(d, 1, r.try(op.Add{}, x[1], r.product(r.try(op.Mul{}, reset, h), fresh)))
		return r.between(h, n, update)
	}, r.product(r.x, r.outputs(wx, 0, 2*k)), r.product(r.x, r.outputs(wx, 2*k, k)))
}

// rnn reads RNN: h' = f(x W + h R).
func rnn(im *importer, in []value) ([]value, error) {
	r := &recurrent{importer: im, gates: 1, order: []int{0}}
	if err := r.read(in, "Tanh"); err != nil {
		return nil, err
	}
	for d := range r.backward {
		wx, wh := r.products(d)
		r.walk(d, func(h value, x []value) value {
			return r.function(d, 0, r.try(op.Add{}, x[0], r.product(h, wh)))
		}, r.product(r.x, wx))
	}
	return r.finish()
}
