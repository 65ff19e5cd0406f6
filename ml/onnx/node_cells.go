package onnx

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/op"
)

// lstm reads LSTM.
func lstm(im *importer, in []value) ([]value, error) {
	if has(in, 7) {
		return nil, fmt.Errorf("%w: peepholes (input P)", ErrUnsupported)
	}
	if err := im.refuse("input_forget", 0); err != nil {
		return nil, err
	}
	// ONNX has the gates in the order input, output, forget, cell.
	r := &recurrent{importer: im, gates: 4, order: []int{3, 0, 2, 1}, interleaved: true}
	if err := r.read(in, "Sigmoid", "Tanh", "Tanh"); err != nil {
		return nil, err
	}
	for d := range r.backward {
		r.lstm(d)
	}
	return r.finish()
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
		if im.attr("linear_before_reset", 0) != 0 {
			r.gru(d)
		} else {
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

// gruResetFirst runs direction d of a cell whose reset comes before the product
// with the state:
//
//	r, z = sigmoid(x Wrz + h Rrz), n = tanh(x Wn + (r h) Rn), h' = n + z (h - n)
func (r *recurrent) gruResetFirst(d int) {
	wx, wh := r.products(d)
	k := r.hidden
	gates, fresh := r.outputs(wh, 0, 2*k), r.outputs(wh, 2*k, k)
	r.walk(d, func(h value, x []value) value {
		g := r.try(op.Sigmoid{}, r.try(op.Add{}, x[0], r.product(h, gates)))
		reset, update := r.part(g, 1, 0, k), r.part(g, 1, k, k)
		n := r.try(op.Tanh{}, r.try(op.Add{}, x[1], r.product(r.try(op.Mul{}, reset, h), fresh)))
		return r.try(op.Add{}, n, r.try(op.Mul{}, update, r.try(op.Sub{}, h, n)))
	}, r.product(r.x, r.outputs(wx, 0, 2*k)), r.product(r.x, r.outputs(wx, 2*k, k)))
}

// rnn reads RNN: h' = tanh(x W + h R).
func rnn(im *importer, in []value) ([]value, error) {
	r := &recurrent{importer: im, gates: 1, order: []int{0}}
	if err := r.read(in, "Tanh"); err != nil {
		return nil, err
	}
	for d := range r.backward {
		wx, wh := r.products(d)
		r.walk(d, func(h value, x []value) value {
			return r.try(op.Tanh{}, r.try(op.Add{}, x[0], r.product(h, wh)))
		}, r.product(r.x, wx))
	}
	return r.finish()
}
