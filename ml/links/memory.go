package links

import (
	"github.com/hibana-engine/hibana/ml/nn"
)

// memory is what a recurrent link remembers from one Forward to the next. A pass
// that is recorded has a state of its own, which begins with the pass: what runs
// later never goes on from this program's sequences, and these aren't disturbed.
type memory struct {
	state  [2]*nn.Variable // nil at the beginning of a sequence
	traced [2]*nn.Variable // within the pass that was recorded last
	trace  *nn.Tape        // of that pass
	last   bool            // whether traced was used last
}

// on gives the state that Forward goes on from. It is of x's tape, and so in its
// mode.
func (m *memory) on(x *nn.Variable) *[2]*nn.Variable {
	m.last = x.Tape().Tracing()
	if m.last && m.trace != x.Tape() {
		m.trace, m.traced = x.Tape(), [2]*nn.Variable{}
	}
	state := m.now()
	for i, v := range state {
		if v != nil && v.Err() == nil && v.Tape() != x.Tape() {
			state[i] = x.Tape().Input(v.Data())
		}
	}
	return state
}

func (m *memory) now() *[2]*nn.Variable {
	if m.last {
		return &m.traced
	}
	return &m.state
}

func (m *memory) get() (a, b *nn.Variable) { return m.now()[0], m.now()[1] }

func (m *memory) set(a, b *nn.Variable) { *m.now() = [2]*nn.Variable{a, b} }

// recurrent is a link with a memory.
type recurrent interface{ remembers() *memory }

// Fresh resets the state of every recurrent link of a network and returns a
// function that puts back what they remembered: what runs in between, such as an
// evaluation in the middle of a training, begins sequences of its own and leaves
// no trace. extensions.Evaluate does so.
func Fresh(l Link) (restore func()) {
	type kept struct {
		memory *memory
		was    memory
	}
	var all []kept
	var walk func(l Link)
	walk = func(l Link) {
		if r, ok := l.(recurrent); ok {
			m := r.remembers()
			all = append(all, kept{m, *m})
			*m = memory{}
		}
		for _, child := range Children(l) {
			walk(child)
		}
	}
	walk(l)
	return func() {
		for _, k := range all {
			*k.memory = k.was
		}
	}
}

// fitsState tells whether a state, which may be nil, can take a step with x.
func fitsState(state, x *nn.Variable, units int) error {
	if state == nil || state.Err() != nil || x.Err() != nil || len(x.Shape()) == 0 {
		return nil // nothing to compare, or what computes with them reports it
	}
	if s := state.Shape(); len(s) != 2 || s[1] != units {
		return nn.ShapeErrorf("the state is %s, want (rows, %d)", state.Spec(), units)
	}
	if x.Dim(0) > state.Dim(0) {
		return stateError(state, x, "a batch may lose rows, not gain some")
	}
	return nil
}

func stateError(state, x *nn.Variable, why string) error {
	return nn.ShapeErrorf("x is %s, but the sequences under way have %d rows: %s; call ResetState where other sequences begin",
		x.Spec(), state.Dim(0), why)
}

// failed is the result of a link, with its path, that can't use its input.
func (c *Chain) failed(x *nn.Variable, function string, err error) *nn.Variable {
	if x.Err() != nil {
		return x
	}
	if first, ok := err.(*nn.Error); ok {
		return nn.Failed(x.Tape(), function, first)
	}
	layer := ""
	if n := len(c.path); n > 0 {
		layer = c.path[:n-1]
	}
	return nn.Failed(x.Tape(), function, &nn.Error{Func: function, Layer: layer, Site: nn.CallSite(), Err: err})
}
