package nn

import (
	"math"
	"slices"

	"gorgonia.org/tensor"
)

// Variable is an array together with how it was computed and its gradient. A
// nil Variable has no data; functions report it as a missing input.
type Variable struct {
	data    *tensor.Dense
	grad    *tensor.Dense // memory of the gradient; it counts only if hasGrad
	gradBuf []float32     // the pooled memory behind an intermediate's grad
	hasGrad bool
	creator *Call // nil for inputs, parameters and what wasn't recorded
	tape    *Tape
	param   *Parameter // the parameter that embeds this variable
	name    string
	err     error

	needsGrad  bool
	retainGrad bool
	retained   bool
	released   bool
	symbolic   bool // depends on an input made by Tape.Symbolic
	root       bool // is such an input
}

// NewVariable makes a variable without a tape that gets a gradient: training
// mode, everything recorded, no random numbers. The array isn't copied unless
// it is a strided view.
func NewVariable(data *tensor.Dense) *Variable { return (*Tape)(nil).Variable(data) }

// From makes an input of data in the given shape (none for a scalar) on a tape,
// which may be nil. The data isn't copied.
func From[T Element](t *Tape, data []T, shape ...int) *Variable {
	a, err := NewArray(data, shape...)
	if err != nil {
		return t.failed("From", "", err)
	}
	return t.Input(a)
}

// Failed makes a failed variable on a tape, which may be nil, for functions
// that find a bad argument before they apply an operation.
func Failed(t *Tape, function string, err error) *Variable { return t.failed(function, "", err) }

// Data returns the array, nil if the variable failed, was released or is a
// parameter without a shape. It must not be changed while a recorded graph may
// still be followed back.
//
// Where a forward pass is recorded to run on other inputs later, data that
// depend on the input stand for no input in particular: see [Tape.Symbolic].
func (v *Variable) Data() *tensor.Dense {
	if v != nil && v.symbolic {
		v.tape.noteRead()
	}
	return v.array()
}

// array is Data for what doesn't look at the elements.
func (v *Variable) array() *tensor.Dense {
	if v == nil {
		return nil
	}
	if v.data == nil && v.param != nil {
		v.param.materialize()
	}
	return v.data
}

// Floats returns the elements of a float32 variable, row-major, nil if Data is
// nil or of another type. The slice shares the variable's memory.
func (v *Variable) Floats() []float32 { return Floats(v.Data()) }

// Float returns the value of a variable with exactly one float32 element and
// NaN for any other.
func (v *Variable) Float() float32 {
	if f := v.Floats(); len(f) == 1 {
		return f[0]
	}
	return float32(math.NaN())
}

// Shape returns the array's shape, nil if there is no array. It must not be
// changed.
func (v *Variable) Shape() tensor.Shape {
	if v.array() == nil {
		return nil
	}
	return v.data.Shape()
}

// Spec returns shape and element type; without an array there is no shape.
func (v *Variable) Spec() Spec {
	d := v.array()
	if d == nil {
		return Spec{}
	}
	return SpecOf(d)
}

// Dim returns the size of one dimension, counted from the last if negative,
// and 0 if there is no such dimension.
func (v *Variable) Dim(axis int) int {
	s := v.Shape()
	if axis < 0 {
		axis += len(s)
	}
	if axis < 0 || axis >= len(s) {
		return 0
	}
	return s[axis]
}

// Tape returns the tape that the variable was made on, which may be nil.
func (v *Variable) Tape() *Tape {
	if v == nil {
		return nil
	}
	return v.tape
}

// Err returns why the variable has no data: the first failure among the calls
// that led to it, an [*Error].
func (v *Variable) Err() error {
	if v == nil {
		return errNil
	}
	return v.err
}

// Creator returns the call that computed the variable, nil for inputs,
// parameters and what wasn't recorded.
func (v *Variable) Creator() *Call { return v.creator }

// Parameter returns the parameter that this variable is part of, nil if none.
func (v *Variable) Parameter() *Parameter { return v.param }

// Name returns the name used in messages, "" if none was given.
func (v *Variable) Name() string { return v.name }

// SetName sets the name used in messages and traces.
func (v *Variable) SetName(name string) { v.name = name }

// RequiresGrad tells whether Backward computes a gradient for the variable.
func (v *Variable) RequiresGrad() bool { return v.needsGrad }

// Grad returns the gradient, nil if there is none. Backward keeps the gradients
// of parameters and inputs; those in between only after RetainGrad. The array
// is reused by the next Backward after ClearGrad.
func (v *Variable) Grad() *tensor.Dense {
	if !v.hasGrad {
		return nil
	}
	return v.grad
}

// GradFloats returns the elements of the gradient, nil if there is none.
func (v *Variable) GradFloats() []float32 { return Floats(v.Grad()) }

// SetGrad copies g into the gradient: what Backward starts from for a variable
// of more than one element.
func (v *Variable) SetGrad(g *tensor.Dense) error {
	if v.array() == nil {
		return v.unusable()
	}
	g, err := adopt(g)
	if err != nil {
		return err
	}
	if !SpecOf(g).Equal(SpecOf(v.data)) {
		return ShapeErrorf("gradient %v of a variable %v", SpecOf(g), SpecOf(v.data))
	}
	copy(Floats(v.gradMemory()), Floats(g))
	v.hasGrad = true
	return nil
}

// ClearGrad forgets the gradient and keeps its memory for the next one.
func (v *Variable) ClearGrad() { v.hasGrad = false }

// RetainGrad makes Backward keep the gradient of a variable that is neither a
// parameter nor an input.
func (v *Variable) RetainGrad() { v.retainGrad = true }

// Retain makes the variable outlive [Tape.Release], without its history. A
// recurrent link does so with its state.
func (v *Variable) Retain() {
	if v.data == nil || v.retained || v.param != nil {
		return
	}
	v.retained = true
	if v.tape == nil || !v.tape.recycle || v.data.Dtype() != tensor.Float32 {
		return
	}
	v.data = tensor.New(tensor.WithShape(v.data.Shape()...), tensor.WithBacking(slices.Clone(Floats(v.data))))
}

// Detach returns a variable with the same data and no history, which gets no
// gradient.
func (v *Variable) Detach() *Variable {
	if v.array() == nil {
		return v.tape.failed("Detach", "", v.unusable())
	}
	d := &Variable{data: v.data, tape: v.tape, symbolic: v.symbolic}
	v.tape.track(d)
	return d
}

var errNil = ValueErrorf("variable is nil")

// unusable says why the variable has no data.
func (v *Variable) unusable() error {
	switch {
	case v == nil:
		return errNil
	case v.err != nil:
		return v.err
	case v.released:
		return ErrReleased
	case v.param != nil:
		return ErrUninitialized
	}
	return ErrValue
}

// describe writes name and shape for a message.
func (v *Variable) describe() string {
	s := "without data"
	if v.data != nil {
		s = SpecOf(v.data).String()
	}
	if v.name != "" {
		return v.name + " " + s
	}
	return s
}

func (v *Variable) gradMemory() *tensor.Dense {
	if v.grad == nil {
		n := sizeOf(v.data.Shape())
		v.grad = tensor.New(tensor.WithShape(v.data.Shape()...), tensor.WithBacking(make([]float32, n)))
	}
	return v.grad
}

// track notes a variable whose data Release takes away.
func (t *Tape) track(v *Variable) {
	if t != nil && t.recycle {
		t.live = append(t.live, v)
	}
}
