package op

import (
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// LSTM is the elementwise part of a step of long short-term memory. The gates
// are interleaved as in Chainer: unit u has input a, input gate i, forget gate f
// and output gate o at columns 4u..4u+3, and
//
//	c' = tanh(a) sigmoid(i) + sigmoid(f) c
//	h  = sigmoid(o) tanh(c')
//
// Inputs c (N, units), x (M, 4*units) with M <= N: rows of c beyond M belong to
// sequences that have ended and pass through. Outputs c' (N, units),
// h (M, units).
type LSTM struct{}

func (LSTM) Name() string { return "LSTM" }

func (LSTM) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 2, "c", "x"); err != nil {
		return nil, err
	}
	c, x := in[0].Shape, in[1].Shape
	if len(c) != 2 || len(x) != 2 || x[1] != 4*c[1] || x[0] > c[0] {
		return nil, nn.ShapeErrorf("want c (N, units) and x (M <= N, 4*units)")
	}
	return []nn.Spec{nn.FloatSpec(c...), nn.FloatSpec(x[0], c[1])}, nil
}

func (LSTM) Forward(c *nn.Call) error {
	units, rows := c.In[0].Shape()[1], c.In[1].Shape()[0]
	var gates []float32
	if c.NeedsBackward() {
		gates = c.Keep(4 * units * rows)
	}
	kernel.LSTM(c.Y(0), c.Y(1), gates, c.X(1), c.X(0), rows, units)
	copy(c.Y(0)[rows*units:], c.X(0)[rows*units:])
	c.Saved = gates
	return nil
}

func (LSTM) Backward(c *nn.Call) error {
	units, rows := c.In[0].Shape()[1], c.In[1].Shape()[0]
	n := rows * units
	gc, gcPrev, ga := c.GY(0), c.GX(0), c.GX(1)
	if ga == nil {
		ga = c.Scratch(4 * n)
		defer c.Free(ga)
	}
	var gcNew []float32
	if gc != nil {
		gcNew = gc[:n]
	}
	kernel.LSTMGrad(ga, head(gcPrev, n), c.Saved.([]float32), c.X(0), c.Y(0), gcNew, c.GY(1), rows, units)
	if gcPrev != nil {
		clear(gcPrev[n:])
		if gc != nil {
			copy(gcPrev[n:], gc[n:])
		}
	}
	return nil
}

func head(x []float32, n int) []float32 {
	if x == nil {
		return nil
	}
	return x[:n]
}

// GRU is the elementwise part of a step of a gated recurrent unit with the gates
// in blocks reset, update, new:
//
//	r = sigmoid(xr + hr), z = sigmoid(xz + hz), n = tanh(xn + r hn)
//	h' = (1-z) n + z h
//
// Inputs h (N, units), xg (N, 3*units), hg (N, 3*units), what x and h contribute
// to the gates with their biases; output h' (N, units).
type GRU struct{}

func (GRU) Name() string { return "GRU" }

func (GRU) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 3, "h", "xg", "hg"); err != nil {
		return nil, err
	}
	h := in[0].Shape
	if len(h) != 2 || !in[1].Equal(nn.FloatSpec(h[0], 3*h[1])) || !in[2].Equal(in[1]) {
		return nil, nn.ShapeErrorf("want h (N, units), xg and hg (N, 3*units)")
	}
	return one(h...), nil
}

func (GRU) Forward(c *nn.Call) error {
	n, units := c.In[0].Shape()[0], c.In[0].Shape()[1]
	gates := c.Keep(3 * n * units)
	kernel.GRU(c.Y(0), gates, c.X(1), c.X(2), c.X(0), n, units)
	c.Saved = gates
	return nil
}

func (GRU) Backward(c *nn.Call) error {
	n, units := c.In[0].Shape()[0], c.In[0].Shape()[1]
	g := [3][]float32{c.GX(0), c.GX(1), c.GX(2)}
	for i, need := range [3]int{n * units, 3 * n * units, 3 * n * units} {
		if g[i] == nil {
			g[i] = c.Scratch(need)
			defer c.Free(g[i])
		}
	}
	kernel.GRUGrad(g[1], g[2], g[0], c.Saved.([]float32), c.X(2), c.X(0), c.GY(0), n, units)
	return nil
}
