package nn

import (
	"math"
	"math/rand/v2"

	"gorgonia.org/tensor"
)

// Mode says what a forward pass is for.
type Mode int

const (
	// Train: dropout drops, batch normalisation uses the batch's statistics,
	// and what happens is recorded for Backward.
	Train Mode = iota
	// Evaluate: dropout passes its input on, batch normalisation uses the
	// running statistics, and nothing is recorded.
	Evaluate
)

// Tape is the setting of forward passes: the mode, the random numbers and the
// memory. A variable's tape is inherited by everything computed from it. One
// goroutine at a time may use a tape and its variables; nil is a tape in mode
// Train without random numbers.
type Tape struct {
	mode        Mode
	record      bool
	recordAll   bool
	checkFinite bool
	recycle     bool
	rng         *rand.Rand
	err         error
	tracing     bool  // has a symbolic input
	read        error // where elements of a symbolic variable were read

	pool     pool[float32]
	ints     pool[int32]
	live     []*Variable // what this step computed; only with recycle
	used     [][]float32 // their memory; only with recycle
	usedInts [][]int32
}

// Option changes a setting of a new [Tape].
type Option func(*Tape)

// Seed makes the tape's random numbers (dropout masks) a function of seed. The
// default is seed 0.
func Seed(seed uint64) Option {
	return func(t *Tape) { t.rng = rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)) }
}

// Record makes a tape record for Backward also in mode Evaluate.
func Record() Option { return func(t *Tape) { t.record = true } }

// NoBackprop makes a tape record nothing also in mode Train.
func NoBackprop() Option { return func(t *Tape) { t.record = false } }

// RecordAll records every call, with its call site, also those that need no
// gradient: what graph.Trace and compilers read.
func RecordAll() Option { return func(t *Tape) { t.record, t.recordAll = true, true } }

// CheckFinite looks for NaN and Inf in everything that is computed, forward
// and backward, and names the function, layer and call site that made the
// first one. It costs a pass over each array.
func CheckFinite() Option { return func(t *Tape) { t.checkFinite = true } }

// Recycle keeps memory for the next step. The caller promises to call
// [Tape.Release] after each step.
func Recycle() Option { return func(t *Tape) { t.recycle = true } }

// NewTape makes a tape.
func NewTape(mode Mode, options ...Option) *Tape {
	t := &Tape{mode: mode, record: mode == Train}
	Seed(0)(t)
	for _, o := range options {
		o(t)
	}
	return t
}

// Training tells whether the mode is Train.
func (t *Tape) Training() bool { return t == nil || t.mode == Train }

// Recording tells whether calls are recorded for Backward.
func (t *Tape) Recording() bool { return t == nil || t.record }

// Rand returns the tape's random source, nil for a nil tape.
func (t *Tape) Rand() *rand.Rand {
	if t == nil {
		return nil
	}
	return t.rng
}

// Err returns the first failure among the tape's variables since the last
// Release.
func (t *Tape) Err() error {
	if t == nil {
		return nil
	}
	return t.err
}

// Input makes a variable of data that needs no gradient, such as a batch of
// images or labels. The array isn't copied unless it is a strided view.
func (t *Tape) Input(data *tensor.Dense) *Variable {
	v := t.Variable(data)
	v.needsGrad = false
	return v
}

// Symbolic makes an input that stands for every input of its shape: a forward
// pass is recorded on it to run on others later. What it computes with functions
// follows the input; what the program itself reads of it (Data, Floats, Float)
// would stay as it was, an if that depends on it would always go one way. So the
// tape notes the first reading of the input or of what was computed from it, for
// [Tape.ReadErr].
func (t *Tape) Symbolic(data *tensor.Dense) *Variable {
	v := t.Input(data)
	v.symbolic, v.root = true, true
	if t != nil {
		t.tracing = true
	}
	return v
}

// Tracing tells whether a forward pass is recorded to run on other inputs: what a
// layer would remember of it, such as running averages or a recurrent state, is
// of an input that never was.
func (t *Tape) Tracing() bool { return t != nil && t.tracing }

// ReadErr returns an error that says [ErrRead] and the place in user code if
// the elements of a symbolic variable were read.
func (t *Tape) ReadErr() error {
	if t == nil {
		return nil
	}
	return t.read
}

func (t *Tape) noteRead() {
	if t.read == nil {
		t.read = &Error{Func: "Variable.Data", Site: CallSite(), Err: ErrRead}
	}
}

// Variable makes a variable on this tape that gets a gradient.
func (t *Tape) Variable(data *tensor.Dense) *Variable {
	d, err := adopt(data)
	if err != nil {
		return t.failed("Variable", "", err)
	}
	return &Variable{data: d, tape: t, needsGrad: d.Dtype() == tensor.Float32}
}

// Release ends a step of a tape made with [Recycle]: what was computed since
// the last Release loses its data and history, and its memory serves the next
// step. Parameters, inputs and variables marked by [Variable.Retain] keep
// their data. Slices and arrays taken from released variables must not be used
// any more. On any other tape it only forgets the tape's error.
func (t *Tape) Release() {
	if t == nil {
		return
	}
	for _, v := range t.live {
		v.creator = nil
		if !v.retained {
			v.data, v.grad, v.gradBuf, v.hasGrad, v.released = nil, nil, nil, false, true
		}
	}
	for _, b := range t.used {
		t.pool.put(b)
	}
	for _, b := range t.usedInts {
		t.ints.put(b)
	}
	clear(t.live)
	clear(t.used)
	clear(t.usedInts)
	t.live, t.used, t.usedInts, t.err = t.live[:0], t.used[:0], t.usedInts[:0], nil
}

func (t *Tape) failed(function, layer string, err error) *Variable {
	e, ok := err.(*Error)
	if !ok {
		e = &Error{Func: function, Layer: layer, Site: CallSite(), Err: err}
	}
	if t != nil && t.err == nil {
		t.err = e
	}
	return &Variable{tape: t, err: e}
}

// floats returns n elements of arbitrary contents that live until Release.
func (t *Tape) floats(n int) []float32 {
	if t == nil {
		return make([]float32, n)
	}
	b := t.scratch(n)
	if t.recycle {
		t.used = append(t.used, b)
	}
	return b
}

// keepInts is floats for integers.
func (t *Tape) keepInts(n int) []int32 {
	if t == nil || !t.recycle {
		return make([]int32, n)
	}
	b := t.ints.get(n)
	t.usedInts = append(t.usedInts, b)
	return b
}

// scratch returns n elements of arbitrary contents that live until free.
func (t *Tape) scratch(n int) []float32 {
	if t == nil || !t.recycle {
		b := make([]float32, n)
		if t != nil && t.checkFinite {
			poison(b)
		}
		return b
	}
	b := t.pool.get(n)
	if t.checkFinite {
		poison(b)
	}
	return b
}

// free takes back what scratch returned.
func (t *Tape) free(b []float32) {
	if t != nil && t.recycle && b != nil {
		t.pool.put(b)
	}
}

// alloc makes an output. Integers and booleans are small and never recycled.
func (t *Tape) alloc(s Spec) *tensor.Dense {
	switch n := s.Size(); s.Dtype {
	case tensor.Float32:
		return tensor.New(tensor.WithShape(s.Shape...), tensor.WithBacking(t.floats(n)))
	case tensor.Int32:
		return tensor.New(tensor.WithShape(s.Shape...), tensor.WithBacking(make([]int32, n)))
	default:
		return tensor.New(tensor.WithShape(s.Shape...), tensor.WithBacking(make([]bool, n)))
	}
}

// poison makes an operation that forgets to write an element visible.
func poison(b []float32) {
	nan := float32(math.NaN())
	for i := range b {
		b[i] = nan
	}
}
