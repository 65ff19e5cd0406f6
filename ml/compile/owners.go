package compile

import (
	"errors"
	"fmt"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/graph"
)

// A model computes each row alone, so a network must too. Whether it does is read
// off a trace of two rows: this file tells for every element of every value which
// of the two rows it depends on, and refuses the first step that makes an element
// of both. Steps that move elements are run on the owners themselves, so nothing
// is guessed from shapes; an operation that isn't listed is taken to make every
// element of all that it reads.

// Owners of an element.
const (
	nobody = 0 // it depends on weights alone
	row0   = 1
	row1   = 2
)

// owners are the owners of a value's elements. nil stands for nobody's.
type owners struct {
	halves bool      // the first half is row 0's, the second row 1's
	each   []float32 // by element, if not halves; floats, so that operations can move them
}

// tracker follows owners through a trace of two rows.
type tracker struct {
	*builder
	of []*owners // by value
}

// owned refuses steps that put rows together, and returns the output's owners.
func (b *builder) owned() (*owners, error) {
	t := &tracker{b, make([]*owners, len(b.trace.Values))}
	t.of[b.trace.Inputs[0]] = &owners{halves: true}
	last := lastUses(b.trace)
	for i, s := range b.trace.Steps {
		if b.isConstant(s) {
			continue
		}
		out, err := t.step(s)
		if err != nil {
			return nil, stepError(s.Op, s.Site, fmt.Errorf("%w: %w", ErrForward, err))
		}
		for k, v := range s.Out {
			t.of[v] = out[k]
		}
		for _, v := range s.In {
			if last[v] == i {
				t.of[v] = nil
			}
		}
	}
	return t.of[b.trace.Outputs[0]], nil
}

// isConstant tells whether a step has been evaluated.
func (b *builder) isConstant(s graph.Step) bool { return b.konst[s.Out[0]] != nil }

// lastUses tells for each value the last step that reads it; the output is read
// after all steps.
func lastUses(t *graph.Trace) []int {
	last := make([]int, len(t.Values))
	for i, s := range t.Steps {
		for _, v := range s.In {
			last[v] = i
		}
	}
	last[t.Outputs[0]] = len(t.Steps)
	return last
}

// compact recognises halves, where what is nobody's may lie in either.
func compact(each []float32) *owners {
	n := len(each)
	if n%2 != 0 {
		return &owners{each: each}
	}
	for i, v := range each {
		if v != nobody && v != half(i, n) {
			return &owners{each: each}
		}
	}
	return &owners{halves: true}
}

// half is the owner of element i of n in halves.
func half(i, n int) float32 {
	if 2*i < n {
		return row0
	}
	return row1
}

// array returns a value's owners, one for each element.
func (t *tracker) array(v int) *tensor.Dense {
	s, o := t.trace.Values[v].Spec, t.of[v]
	each := make([]float32, s.Size())
	switch {
	case o == nil:
	case o.halves:
		for i := range each {
			each[i] = half(i, len(each))
		}
	default:
		copy(each, o.each)
	}
	return arrayOf(each, s.Shape)
}

func arrayOf(v []float32, shape []int) *tensor.Dense {
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(v))
}

// errMixes says that an element would depend on both rows.
var errMixes = errors.New("it puts rows of the batch together, so that a row's result would depend on the rows beside it")

// errUnknown says that nothing is known of an operation over both rows.
var errUnknown = errors.New("it isn't known to keep the rows of a batch apart; an operation of your own that does says so as an nn.Rowwise")

// errItems says that an operation hasn't an item of its output for each of its input.
var errItems = errors.New("it isn't known which of its output's elements belong to which row of the batch, as its outputs and inputs (all but weights) must have first axes of one size")

// join is the owner of what is made of elements of two owners.
func join(a, b float32) (float32, error) {
	if a != b && a != nobody && b != nobody {
		return 0, errMixes
	}
	return max(a, b), nil
}

// joinAll is the owner of what is made of all these elements.
func joinAll(v []float32) (o float32, err error) {
	for _, a := range v {
		if o, err = join(o, a); err != nil {
			return 0, err
		}
	}
	return o, nil
}
