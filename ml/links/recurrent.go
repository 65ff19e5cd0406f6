package links

import (
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// StatelessLSTMLink is made by StatelessLSTM.
type StatelessLSTMLink struct {
	Chain
	upward, lateral *LinearLink
	units           int
}

// StatelessLSTM is a step of long short-term memory whose state the caller
// keeps. upward/W is (4*units, in), upward/b (4*units), lateral/W
// (4*units, units); the four gates of a unit lie side by side. The forget
// gate's bias starts with 1.
func StatelessLSTM(units int, opts ...Option) *StatelessLSTMLink {
	l := &StatelessLSTMLink{units: units}
	l.bad = checkUnits(units)
	opts = append([]Option{InitBias(everyFourth(2, 1))}, opts...)
	l.upward = Add(l, "upward", Linear(4*units, opts...))
	l.lateral = Add(l, "lateral", Linear(4*units, InSize(units), NoBias()))
	return l
}

// Step takes the state c and h, both nil at first, and x (batch, in), and
// gives the next c and h (batch, units).
//
// x may have fewer rows than the state when sequences are sorted by falling
// length: the rows beyond have ended and keep their state.
func (l *StatelessLSTMLink) Step(c, h, x *nn.Variable) (nextC, nextH *nn.Variable) {
	err := l.bad
	for _, state := range []*nn.Variable{c, h} {
		if err == nil {
			err = fitsState(state, x, l.units)
		}
	}
	if err != nil {
		f := l.failed(x, "LSTM", err)
		return f, f
	}
	gates := l.upward.Forward(x)
	var rest *nn.Variable
	if h != nil {
		h, rest = splitRows(h, x.Dim(0))
		gates = nn.Apply1(op.Add{}, gates, l.lateral.Forward(h))
	}
	if c == nil {
		c = zeros(x, x.Dim(0), l.units)
	}
	out := nn.Apply(op.LSTM{}, 2, c, gates)
	return out[0], joinRows(out[1], rest)
}

// splitRows cuts a variable after n rows; rest is nil if nothing is left.
func splitRows(v *nn.Variable, n int) (first, rest *nn.Variable) {
	if rows := v.Dim(0); n > 0 && rows > n {
		parts := nn.Apply(op.Split{Axis: 0, Sizes: []int{n, rows - n}}, 2, v)
		return parts[0], parts[1]
	}
	return v, nil
}

func joinRows(first, rest *nn.Variable) *nn.Variable {
	if rest == nil {
		return first
	}
	return nn.Apply1(op.Concat{Axis: 0}, first, rest)
}

// LSTMLink is made by LSTM.
type LSTMLink struct {
	StatelessLSTMLink
	memory memory // c, h
}

// LSTM is StatelessLSTM that keeps its state from one Forward to the next. The
// state survives Tape.Release without its history, so a training step goes back
// no further than the last one. See [Fresh] for an evaluation in between.
func LSTM(units int, opts ...Option) *LSTMLink {
	inner := StatelessLSTM(units, opts...)
	l := &LSTMLink{}
	l.units, l.bad = units, inner.bad
	l.upward = Add(l, "upward", inner.upward)
	l.lateral = Add(l, "lateral", inner.lateral)
	return l
}

// Forward takes x (batch, in) and gives h (batch, units); as Step does, it
// allows fewer rows than before, and then gives only theirs. Other sequences
// begin with ResetState.
func (l *LSTMLink) Forward(x *nn.Variable) *nn.Variable {
	state := l.memory.on(x)
	c, h := l.Step(state[0], state[1], x)
	if h.Err() != nil {
		return h // the state stays
	}
	state[0], state[1] = c, h
	retain(c, h)
	first, _ := splitRows(h, x.Dim(0))
	return first
}

// ResetState forgets the state: a new sequence begins.
func (l *LSTMLink) ResetState() { l.memory.set(nil, nil) }

// State gives the state, nil at the beginning.
func (l *LSTMLink) State() (c, h *nn.Variable) { return l.memory.get() }

// SetState replaces the state.
func (l *LSTMLink) SetState(c, h *nn.Variable) { l.memory.set(c, h) }

func (l *LSTMLink) remembers() *memory { return &l.memory }

func retain(vars ...*nn.Variable) {
	for _, v := range vars {
		v.Retain()
	}
}

// GRULink is made by GRU.
type GRULink struct {
	Chain
	wr, ur, wz, uz, w, u *LinearLink
	units                int
	memory               memory // h
}

// GRU is Chainer's StatefulGRU: a gated recurrent unit that keeps its state,
//
//	r = sigmoid(W_r x + U_r h), z = sigmoid(W_z x + U_z h)
//	h' = (1-z) h + z tanh(W x + U (r h))
//
// On its first step, without a state, all U terms are left out with their
// biases, as Chainer does.
func GRU(units int, opts ...Option) *GRULink {
	l := &GRULink{units: units}
	l.bad = checkUnits(units)
	own := append(append([]Option{}, opts...), InSize(units))
	l.wr, l.ur = Add(l, "W_r", Linear(units, opts...)), Add(l, "U_r", Linear(units, own...))
	l.wz, l.uz = Add(l, "W_z", Linear(units, opts...)), Add(l, "U_z", Linear(units, own...))
	l.w, l.u = Add(l, "W", Linear(units, opts...)), Add(l, "U", Linear(units, own...))
	return l
}

// Forward takes x (batch, in) and gives the new state (batch, units). Other
// sequences begin with ResetState.
func (l *GRULink) Forward(x *nn.Variable) *nn.Variable {
	state := l.memory.on(x)
	h, err := state[0], l.bad
	if err == nil {
		err = fitsState(h, x, l.units)
	}
	if err == nil && h != nil && x.Err() == nil && h.Dim(0) != x.Dim(0) {
		err = stateError(h, x, "x needs as many rows")
	}
	if err != nil {
		return l.failed(x, "GRU", err)
	}
	z, bar := l.wz.Forward(x), l.w.Forward(x)
	if h != nil {
		r := nn.Apply1(op.Sigmoid{}, nn.Apply1(op.Add{}, l.wr.Forward(x), l.ur.Forward(h)))
		z = nn.Apply1(op.Add{}, z, l.uz.Forward(h))
		bar = nn.Apply1(op.Add{}, bar, l.u.Forward(nn.Apply1(op.Mul{}, r, h)))
	}
	z, bar = nn.Apply1(op.Sigmoid{}, z), nn.Apply1(op.Tanh{}, bar)
	next := nn.Apply1(op.Mul{}, z, bar)
	if h != nil {
		keep := nn.Apply1(op.Affine{Scale: -1, Shift: 1}, z)
		next = nn.Apply1(op.Add{}, next, nn.Apply1(op.Mul{}, keep, h))
	}
	if next.Err() == nil {
		state[0] = next
		retain(next)
	}
	return next
}

// ResetState forgets the state: a new sequence begins.
func (l *GRULink) ResetState() { l.memory.set(nil, nil) }

// State gives the state, nil at the beginning.
func (l *GRULink) State() *nn.Variable { h, _ := l.memory.get(); return h }

// SetState replaces the state.
func (l *GRULink) SetState(h *nn.Variable) { l.memory.set(h, nil) }

func (l *GRULink) remembers() *memory { return &l.memory }

func checkUnits(units int) error {
	if units < 1 {
		return nn.ValueErrorf("units %d, want at least 1", units)
	}
	return nil
}
