package functions

import (
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// LSTM is the elementwise part of a step of long short-term memory: from the
// cell state c (N, units) and the gates' inputs x (M, 4*units), interleaved
// (input, input gate, forget gate, output gate for each unit), it computes the
// next cell state (N, units) and the output (M, units). Rows of c beyond M pass
// through.
func LSTM(c, x *nn.Variable) (next, h *nn.Variable) {
	out := nn.Apply(op.LSTM{}, 2, c, x)
	return out[0], out[1]
}

// GRU is the elementwise part of a step of a gated recurrent unit: from the
// state h (N, units) and what input and state contribute to the gates, xg and hg
// (N, 3*units, in blocks reset, update, new), it computes the next state
// (1-z)*tanh(xn + r*hn) + z*h.
func GRU(h, xg, hg *nn.Variable) *nn.Variable { return nn.Apply1(op.GRU{}, h, xg, hg) }
