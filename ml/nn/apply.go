package nn

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gorgonia.org/tensor"
)

// Apply1 applies an operation with one output. See [Apply].
func Apply1(op Op, in ...*Variable) *Variable {
	c, err := run(op, 1, in)
	if err != nil {
		return fail(op, in, err)
	}
	return c.outputs[0]
}

// Apply applies an operation with the given number of outputs to variables,
// records the call if the tape records, and returns the outputs. If an input
// failed or the operation reports an error, the outputs hold that error.
func Apply(op Op, outputs int, in ...*Variable) []*Variable {
	c, err := run(op, outputs, in)
	if err == nil {
		return slices.Clone(c.outputs)
	}
	f := fail(op, in, err)
	out := make([]*Variable, outputs)
	for i := range out {
		out[i] = f
	}
	return out
}

// fail makes the failed variable of a call.
func fail(op Op, in []*Variable, err error) *Variable {
	layer := ""
	for _, v := range in {
		if v != nil && v.param != nil {
			layer = v.param.layer()
			break
		}
	}
	return tapeOf(in).failed(op.Name(), layer, err)
}

// tapeOf returns the first tape among variables.
func tapeOf(in []*Variable) *Tape {
	for _, v := range in {
		if v != nil && v.tape != nil {
			return v.tape
		}
	}
	return nil
}

func run(op Op, outputs int, in []*Variable) (*Call, error) {
	t := tapeOf(in)
	c := &Call{Op: op, inputs: in, tape: t}
	specs, err := c.takeInputs()
	if err != nil {
		return nil, err
	}
	outs, err := outputSpecs(op, specs)
	if err != nil {
		return nil, fmt.Errorf("%w; given %s", err, describeAll(in))
	}
	if len(outs) != outputs {
		return nil, ValueErrorf("%d outputs, %d expected", len(outs), outputs)
	}
	if t != nil && (t.checkFinite || t.recordAll) {
		c.site = CallSite()
	}
	if err := c.compute(outs); err != nil {
		return nil, err
	}
	if t != nil && t.checkFinite {
		if err := c.checkForward(); err != nil {
			return nil, err
		}
	}
	c.makeOutputs()
	return c, nil
}

// outputSpecs asks the operation and checks that its answer can be allocated.
func outputSpecs(op Op, in []Spec) ([]Spec, error) {
	outs, err := op.Outputs(in)
	if err != nil {
		return nil, err
	}
	for _, s := range outs {
		if err := checkDims(s.Shape); err != nil {
			return nil, err
		}
	}
	return outs, nil
}

// takeInputs fills c.In from the input variables and returns their specs.
func (c *Call) takeInputs() ([]Spec, error) {
	c.In = make([]*tensor.Dense, len(c.inputs))
	specs := make([]Spec, len(c.inputs))
	for i, v := range c.inputs {
		if v == nil {
			return nil, ValueErrorf("input %d is nil", i)
		}
		d := v.array()
		if d == nil {
			if v.err == nil && v.name != "" {
				return nil, fmt.Errorf("%s: %w", v.name, v.unusable())
			}
			return nil, v.unusable()
		}
		c.In[i], specs[i] = d, SpecOf(d)
		if v.creator != nil {
			c.rank = max(c.rank, v.creator.rank+1)
		}
	}
	return specs, nil
}

// compute allocates the outputs and runs Forward; a view shares its input's
// memory instead.
func (c *Call) compute(outs []Spec) error {
	c.Out = make([]*tensor.Dense, len(outs))
	if _, ok := c.Op.(View); ok {
		c.Out[0] = reshaped(c.In[0], outs[0].Shape)
		return nil
	}
	for i, s := range outs {
		c.Out[i] = c.tape.alloc(s)
	}
	return c.Op.Forward(c)
}

// reshaped returns an array over the same memory in another shape.
func reshaped(a *tensor.Dense, shape tensor.Shape) *tensor.Dense {
	var backing any
	switch a.Dtype() {
	case tensor.Float32:
		backing = a.Float32s()
	case tensor.Int32:
		backing = a.Int32s()
	default:
		backing = a.Bools()
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(backing))
}

// makeOutputs wraps c.Out in variables that remember the call if they may be
// asked for a gradient.
func (c *Call) makeOutputs() {
	needs := c.wantsGrad()
	symbolic := c.readsSymbolic()
	recorded := needs || c.tape != nil && c.tape.recordAll
	vars := make([]Variable, len(c.Out))
	c.outputs = make([]*Variable, len(c.Out))
	for i, d := range c.Out {
		v := &vars[i]
		v.data, v.tape, v.needsGrad = d, c.tape, needs && d.Dtype() == tensor.Float32
		v.symbolic = symbolic
		if recorded {
			v.creator = c
		}
		c.outputs[i] = v
		c.tape.track(v)
	}
}

// readsSymbolic tells whether an input is symbolic. One whose history was cut off
// (Detach, UnchainBackward) counts as read: no record leads to it any more.
func (c *Call) readsSymbolic() bool {
	symbolic := false
	for _, v := range c.inputs {
		symbolic = symbolic || v.symbolic
		if v.symbolic && !v.root && v.creator == nil {
			v.tape.noteRead()
		}
	}
	return symbolic
}

// checkForward reports the first element that isn't finite, blaming an input
// if it came in with one.
func (c *Call) checkForward() error {
	for i, d := range c.Out {
		k := firstNotFinite(Floats(d))
		if k < 0 {
			continue
		}
		for j, v := range c.inputs {
			if n := firstNotFinite(Floats(c.In[j])); n >= 0 {
				return fmt.Errorf("%w: input %d (%s) has %v at element %d", ErrNotFinite, j, v.describe(), Floats(c.In[j])[n], n)
			}
		}
		return fmt.Errorf("%w: output %d has %v at element %d; inputs %s", ErrNotFinite, i, Floats(d)[k], k, describeAll(c.inputs))
	}
	return nil
}

// firstNotFinite returns the index of the first NaN or Inf, -1 if there is none.
func firstNotFinite(x []float32) int {
	for i, v := range x {
		if math.Float32bits(v)&0x7f800000 == 0x7f800000 {
			return i
		}
	}
	return -1
}

func describeAll(in []*Variable) string {
	parts := make([]string, len(in))
	for i, v := range in {
		parts[i] = v.describe()
	}
	return strings.Join(parts, ", ")
}
