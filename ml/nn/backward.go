package nn

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
)

// Backward computes the gradients of v with respect to every variable that it
// was computed from and adds them to what those hold. v must have one element,
// or a gradient from SetGrad. Intermediate gradients are dropped on the way
// unless RetainGrad asked for them. The graph stays, so that Backward may run
// again.
func (v *Variable) Backward() error {
	if v.array() == nil {
		return v.unusable()
	}
	if v.creator == nil {
		if !v.tape.Recording() {
			return &Error{Func: "Backward", Site: CallSite(), Err: fmt.Errorf("%w: the tape does not record", ErrNoGradient)}
		}
		return nil
	}
	auto := !v.hasGrad
	if auto {
		if sizeOf(v.data.Shape()) != 1 || v.data.Dtype() != tensor.Float32 {
			return &Error{Func: "Backward", Site: CallSite(),
				Err: fmt.Errorf("%w: shape %s, set one with SetGrad", ErrNoGradient, FormatShape(v.data.Shape()))}
		}
		Floats(v.gradMemory())[0] = 1
		v.hasGrad = true
	}
	for _, c := range v.history() {
		if err := c.backprop(v); err != nil {
			return err
		}
	}
	if auto && !v.retainGrad {
		v.hasGrad = false
	}
	return nil
}

// UnchainBackward forgets how v and everything it was computed from came to be,
// so that later Backward calls stop there: truncated backpropagation through
// time.
func (v *Variable) UnchainBackward() {
	for _, c := range v.history() {
		for _, o := range c.outputs {
			o.creator = nil
		}
	}
}

// Parameters lists the parameters that v was computed from as far as that is
// recorded, without those that get no gradient.
func (v *Variable) Parameters() []*Parameter {
	var list []*Parameter
	seen := map[*Parameter]bool{}
	for _, c := range v.history() {
		for _, in := range c.inputs {
			if p := in.param; p != nil && in.needsGrad && !seen[p] {
				seen[p] = true
				list = append(list, p)
			}
		}
	}
	return list
}

// history lists the calls that led to v, later ones first: a call precedes
// those that made its inputs.
func (v *Variable) history() []*Call {
	if v.creator == nil {
		return nil
	}
	calls := []*Call{v.creator}
	seen := map[*Call]bool{v.creator: true}
	for i := 0; i < len(calls); i++ {
		for _, in := range calls[i].inputs {
			if c := in.creator; c != nil && !seen[c] {
				seen[c] = true
				calls = append(calls, c)
			}
		}
	}
	slices.SortStableFunc(calls, func(a, b *Call) int { return b.rank - a.rank })
	return calls
}

// backprop runs one call backward: takes the outputs' gradients, adds to the
// inputs' and drops the outputs' where nobody keeps them.
func (c *Call) backprop(root *Variable) error {
	d, ok := c.Op.(Differentiable)
	if !ok || !c.takeGradOut() {
		return nil
	}
	if moved := c.backpropInPlace(d, root); !moved {
		if err := c.backpropInto(d); err != nil {
			return c.backwardError(err)
		}
	}
	if c.tape != nil && c.tape.checkFinite {
		if err := c.checkBackward(); err != nil {
			return c.backwardError(err)
		}
	}
	for _, o := range c.outputs {
		if o.hasGrad && o != root && !o.retainGrad {
			c.tape.free(o.gradBuf)
			o.grad, o.gradBuf, o.hasGrad = nil, nil, false
		}
	}
	c.GradOut, c.GradIn, c.Add = nil, nil, nil
	return nil
}

// takeGradOut collects the outputs' gradients and tells whether there is any.
func (c *Call) takeGradOut() bool {
	c.GradOut = make([]*tensor.Dense, len(c.outputs))
	any := false
	for i, o := range c.outputs {
		if o.hasGrad {
			c.GradOut[i], any = o.grad, true
		}
	}
	return any
}

// backpropInPlace lets the gradient move from the output to the input without a
// copy. That takes an output whose gradient nobody keeps and an input whose
// gradient hasn't begun and isn't a leaf's lasting memory.
func (c *Call) backpropInPlace(d Differentiable, root *Variable) bool {
	_, view := d.(View)
	_, inPlace := d.(InPlace)
	if !view && !inPlace {
		return false
	}
	x, y := c.inputs[0], c.outputs[0]
	if !x.needsGrad || x.creator == nil || x.hasGrad || x.retainGrad || y == root || y.retainGrad {
		return false
	}
	g, buf := y.grad, y.gradBuf
	if view {
		g = reshaped(g, x.data.Shape())
	} else {
		c.GradIn, c.Add = []*tensor.Dense{g}, []bool{false}
		if d.Backward(c) != nil {
			// Elementwise gradients have no way to fail; if one does, the
			// copying path reports it.
			return false
		}
	}
	x.grad, x.gradBuf, x.hasGrad = g, buf, true
	y.grad, y.gradBuf, y.hasGrad = nil, nil, false
	return true
}

// backpropInto computes the inputs' gradients in their own memory, or beside it
// and then adds, where the operation can't add itself.
func (c *Call) backpropInto(d Differentiable) error {
	c.GradIn = make([]*tensor.Dense, len(c.inputs))
	c.Add = make([]bool, len(c.inputs))
	adder, _ := d.(Accumulating)
	var beside [][]float32 // by input; nil where the gradient is in its own memory
	for i, v := range c.inputs {
		if !v.needsGrad {
			continue
		}
		if slices.Contains(c.inputs[:i], v) || v.hasGrad && (adder == nil || !adder.Accumulates(i)) {
			if beside == nil {
				beside = make([][]float32, len(c.inputs))
			}
			c.GradIn[i], beside[i] = c.tape.newGrad(v)
			continue
		}
		if v.grad == nil && v.creator == nil {
			v.gradMemory()
		} else if v.grad == nil {
			v.grad, v.gradBuf = c.tape.newGrad(v)
		}
		c.GradIn[i], c.Add[i] = v.grad, v.hasGrad
	}
	if err := d.Backward(c); err != nil {
		return err
	}
	for i, v := range c.inputs {
		if c.GradIn[i] == nil {
			continue
		}
		if beside == nil || beside[i] == nil {
			v.hasGrad = true
			continue
		}
		sum := Floats(v.grad)
		kernel.Add(sum, sum, beside[i])
		c.tape.free(beside[i])
	}
	return nil
}

// newGrad allocates memory for an intermediate gradient.
func (t *Tape) newGrad(v *Variable) (*tensor.Dense, []float32) {
	buf := t.scratch(sizeOf(v.data.Shape()))
	return tensor.New(tensor.WithShape(v.data.Shape()...), tensor.WithBacking(buf)), buf
}

func (c *Call) checkBackward() error {
	for i, v := range c.inputs {
		if !v.hasGrad {
			continue
		}
		if k := firstNotFinite(Floats(v.grad)); k >= 0 {
			return fmt.Errorf("%w: gradient of input %d (%s) has %v at element %d", ErrNotFinite, i, v.describe(), Floats(v.grad)[k], k)
		}
	}
	return nil
}

// backwardError reports a failure of Backward with the site of the forward
// call where it is known.
func (c *Call) backwardError(err error) error {
	e := &Error{Func: "Backward of " + c.Op.Name(), Site: c.site, Err: err}
	for _, v := range c.inputs {
		if v.param != nil {
			e.Layer = v.param.layer()
			break
		}
	}
	if e.Site == "" {
		e.Site = CallSite()
	}
	return e
}
