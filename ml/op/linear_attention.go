package op

import (
	"math"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// LinearAttention is attention whose memory is one matrix for each head, as in
// RetNet, GLA or Gated DeltaNet. With each step of the sequence the matrix S fades,
// takes in a key k and a value v, and is read by the queries q that share it:
//
//	S = exp(decay) S;  v = beta (v - S'k);  S = S + k v';  y = Scale S'q
//
// It has no gradient. Inputs q (N, T, Heads*K), k (N, T, KVHeads*K) and
// v (N, T, KVHeads*V), then those that are there: the state to begin with
// (N, KVHeads, K, V), decay (N, T, KVHeads or KVHeads*K) and beta (N, T, KVHeads or
// 1); outputs y (N, T, Heads*V) and the state after the last step.
type LinearAttention struct {
	Heads, KVHeads     int
	Scale              float32
	State, Decay, Beta bool // which further inputs there are
}

func (LinearAttention) Name() string { return "LinearAttention" }

// Rowwise says that it keeps sequences apart.
func (LinearAttention) Rowwise() {}

func (o LinearAttention) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	names := []string{"q", "k", "v"}
	for _, more := range []struct {
		name string
		is   bool
	}{{"state", o.State}, {"decay", o.Decay}, {"beta", o.Beta}} {
		if more.is {
			names = append(names, more.name)
		}
	}
	if err := checkFloats(in, len(names), names...); err != nil {
		return nil, err
	}
	q, k, v := in[0].Shape, in[1].Shape, in[2].Shape
	if o.KVHeads < 1 || o.Heads < 1 || o.Heads%o.KVHeads != 0 {
		return nil, nn.ShapeErrorf("%d heads of queries share %d of keys", o.Heads, o.KVHeads)
	}
	if len(q) != 3 || len(k) != 3 || len(v) != 3 || q[2]%o.Heads != 0 || v[2]%o.KVHeads != 0 ||
		k[0] != q[0] || k[1] != q[1] || v[0] != q[0] || v[1] != q[1] || k[2] != q[2]/o.Heads*o.KVHeads {
		return nil, nn.ShapeErrorf("want q (N, T, %d K), k (N, T, %d K) and v (N, T, %d V)", o.Heads, o.KVHeads, o.KVHeads)
	}
	state := nn.FloatSpec(q[0], o.KVHeads, q[2]/o.Heads, v[2]/o.KVHeads)
	for i, name := range names[3:] {
		s := in[3+i]
		last := 0
		if len(s.Shape) == 3 && s.Shape[0] == q[0] && s.Shape[1] == q[1] {
			last = s.Shape[2]
		}
		switch {
		case name == "state" && s.Equal(state):
		case name == "decay" && (last == o.KVHeads || last == k[2]):
		case name == "beta" && (last == o.KVHeads || last == 1):
		default:
			return nil, nn.ShapeErrorf("%s has the shape %s", name, nn.FormatShape(s.Shape))
		}
	}
	return []nn.Spec{nn.FloatSpec(q[0], q[1], o.Heads*state.Shape[3]), state}, nil
}

func (o LinearAttention) Forward(c *nn.Call) error {
	more := 3
	next := func(is bool) (x []float32, width int) {
		if !is {
			return nil, 0
		}
		shape := c.In[more].Shape()
		x = c.X(more)
		more++
		return x, shape[len(shape)-1]
	}
	start, _ := next(o.State)
	if state := c.Y(1); start != nil {
		copy(state, start)
	} else {
		clear(state)
	}
	decay, decays := next(o.Decay)
	beta, betas := next(o.Beta)
	s := c.Out[1].Shape()
	steps, keys, values := c.In[0].Shape()[1], s[2], s[3]
	fresh := c.Scratch(values)
	defer c.Free(fresh)
	for i := range s[0] * o.KVHeads {
		n, head := i/o.KVHeads, i%o.KVHeads
		state := c.Y(1)[i*keys*values:][:keys*values]
		for t := range steps {
			at := n*steps + t
			k := c.X(1)[(at*o.KVHeads+head)*keys:][:keys]
			copy(fresh, c.X(2)[(at*o.KVHeads+head)*values:][:values])
			if decay != nil {
				fade(state, decay[at*decays+head*(decays/o.KVHeads):][:decays/o.KVHeads], keys)
			}
			if beta != nil {
				correct(fresh, state, k, beta[at*betas+head%betas])
			}
			for d, f := range k {
				kernel.Axpy(state[d*values:][:values], f, fresh)
			}
			for g := head * (o.Heads / o.KVHeads); g < (head+1)*(o.Heads/o.KVHeads); g++ {
				q, y := c.X(0)[(at*o.Heads+g)*keys:][:keys], c.Y(0)[(at*o.Heads+g)*values:][:values]
				clear(y)
				for d, f := range q {
					kernel.Axpy(y, o.Scale*f, state[d*values:][:values])
				}
			}
		}
	}
	return nil
}

// fade multiplies a state by exp(decay), of which there is one number or one for
// each key.
func fade(state, decay []float32, keys int) {
	values := len(state) / keys
	for d := range keys {
		kernel.Scale(state[d*values:][:values], float32(math.Exp(float64(decay[d%len(decay)]))))
	}
}

// correct makes a value what the state lacks of it at a key.
func correct(v, state, k []float32, beta float32) {
	for d, f := range k {
		kernel.Axpy(v, -f, state[d*len(v):][:len(v)])
	}
	kernel.Scale(v, beta)
}
