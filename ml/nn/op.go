package nn

import (
	"math/rand/v2"

	"gorgonia.org/tensor"
)

// Op is one operation: its attributes are the fields of the implementing
// struct, and it has no other state. Two values that print the same with %+v
// compute the same.
type Op interface {
	// Name is the function's name as users write it, such as "MaxPooling2D".
	Name() string
	// Outputs derives the outputs' shapes and types from the inputs' or says
	// why they don't fit. It must not keep or change the inputs' shapes; an
	// output may be given an input's shape.
	Outputs(in []Spec) ([]Spec, error)
	// Forward computes c.Out from c.In. The outputs' memory is allocated but
	// its contents are arbitrary, so every element must be written.
	Forward(c *Call) error
}

// Differentiable is an Op that can be differentiated. Without Backward its
// outputs need no gradient.
type Differentiable interface {
	Op
	// Backward computes c.GradIn from c.GradOut, c.In, c.Out and what Forward
	// left in c.Saved. Elements of GradIn are nil where no gradient is wanted
	// and of GradOut where none arrived; at least one of each is there.
	// Arbitrary memory is passed in, so every element must be written, except
	// where c.Add says that it is to be added to.
	Backward(c *Call) error
}

// Accumulating is a Differentiable that can add to a gradient in place, which
// saves a pass over memory where a large parameter is used many times.
type Accumulating interface {
	Differentiable
	// Accumulates tells whether Backward honours c.Add for input i.
	Accumulates(i int) bool
}

// InPlace is a Differentiable with one input and one output of the same size
// whose Backward still works when GradIn[0] and GradOut[0] share memory.
type InPlace interface {
	Differentiable
	BackwardInPlace()
}

// Rowwise is an Op that computes each element of its outputs' first axis from the
// same element of its inputs' first axis, and from inputs that are weights. Only
// such an operation of a user's own can be compiled for batches.
type Rowwise interface {
	Op
	Rowwise()
}

// View is an Op with one input whose only output is the same elements in
// another shape. Variables share the memory instead of calling Forward, and
// where possible Backward; Gorgonia's machines call both.
type View interface {
	Differentiable
	View()
}

// Call is one application of an Op to arrays. Forward and Backward see its
// exported fields; package graph and compilers read Op, Inputs and Outputs.
type Call struct {
	Op      Op
	In, Out []*tensor.Dense
	GradOut []*tensor.Dense // valid during Backward
	GradIn  []*tensor.Dense // valid during Backward
	Add     []bool          // valid during Backward: GradIn[i] holds a sum to add to
	Saved   any             // for Forward to leave something to Backward

	inputs  []*Variable
	outputs []*Variable
	tape    *Tape
	random  *rand.Rand
	rank    int    // 1 + the largest rank of the calls that made the inputs
	site    string // where user code called, known only under CheckFinite and RecordAll
}

// NewCall prepares an application to arrays outside any tape and allocates the
// outputs. random may be nil if the operation draws no random numbers.
func NewCall(op Op, random *rand.Rand, in ...*tensor.Dense) (*Call, error) {
	specs := make([]Spec, len(in))
	for i, a := range in {
		specs[i] = SpecOf(a)
	}
	outs, err := outputSpecs(op, specs)
	if err != nil {
		return nil, err
	}
	c := &Call{Op: op, In: in, Out: make([]*tensor.Dense, len(outs)), random: random}
	for i, s := range outs {
		c.Out[i] = (*Tape)(nil).alloc(s)
	}
	return c, nil
}

// Inputs returns the variables that the operation was applied to. The slice
// belongs to the call.
func (c *Call) Inputs() []*Variable { return c.inputs }

// Outputs returns the variables that the call computed. The slice belongs to
// the call.
func (c *Call) Outputs() []*Variable { return c.outputs }

// Site returns file:line of the call in user code; it is known only when the
// tape was made with RecordAll or CheckFinite.
func (c *Call) Site() string { return c.site }

// Rand returns the tape's random source, nil if there is none.
func (c *Call) Rand() *rand.Rand {
	if c.random != nil {
		return c.random
	}
	return c.tape.Rand()
}

// wantsGrad tells whether the call is recorded for an input that needs a
// gradient. A call outside any tape may always be asked.
func (c *Call) wantsGrad() bool {
	if c.inputs == nil {
		return true
	}
	if _, ok := c.Op.(Differentiable); !ok || !c.tape.Recording() {
		return false
	}
	for _, v := range c.inputs {
		if v.needsGrad {
			return true
		}
	}
	return false
}

// X returns the elements of float32 input i, nil if the call has fewer inputs.
func (c *Call) X(i int) []float32 {
	if i >= len(c.In) {
		return nil
	}
	return Floats(c.In[i])
}

// Y returns the elements of float32 output i.
func (c *Call) Y(i int) []float32 { return Floats(c.Out[i]) }

// GY returns the gradient of output i, nil if none arrived.
func (c *Call) GY(i int) []float32 { return Floats(c.GradOut[i]) }

// GX returns where the gradient of input i goes, nil if it isn't wanted or the
// call has fewer inputs.
func (c *Call) GX(i int) []float32 {
	if i >= len(c.GradIn) {
		return nil
	}
	return Floats(c.GradIn[i])
}

// Keep returns n elements of arbitrary contents that stay valid until the
// graph is gone, for what Forward saves.
func (c *Call) Keep(n int) []float32 { return c.tape.floats(n) }

// KeepInts is Keep for integers.
func (c *Call) KeepInts(n int) []int32 { return c.tape.keepInts(n) }

// NeedsBackward tells whether Backward may follow, so that Forward has to save
// something for it.
func (c *Call) NeedsBackward() bool { return c.wantsGrad() }

// Scratch returns n elements of arbitrary contents for use until Free.
func (c *Call) Scratch(n int) []float32 { return c.tape.scratch(n) }

// Free gives back what Scratch returned.
func (c *Call) Free(buf []float32) { c.tape.free(buf) }
