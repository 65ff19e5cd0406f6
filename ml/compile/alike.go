package compile

import (
	"fmt"
	"math"
	"reflect"
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// A network that divides by the number of its rows keeps them apart, and yet a row
// alone has another result than in a batch. So what a trace of two rows computes
// must be what a trace of one row computes: the same operations with the same
// constants, of which some may have been repeated for each row.

// errCount says that a step depends on the number of rows.
var errCount = fmt.Errorf("%w: it does something else with two rows than with one, so that a row's result would depend on their number", ErrForward)

// comparison holds steps of a trace of two rows against those of one.
type comparison struct {
	one, two *builder
	steps    map[reflect.Type][]int // steps of one, by their operation
	next     map[reflect.Type]int   // where the search goes on: mostly both have one order
	same     map[[2]*tensor.Dense]bool
}

// compare refuses a step of two that one doesn't have.
func compare(one, two *builder) error {
	c := comparison{one, two, map[reflect.Type][]int{}, map[reflect.Type]int{}, map[[2]*tensor.Dense]bool{}}
	for i, s := range one.trace.Steps {
		if !one.isConstant(s) {
			o := reflect.TypeOf(s.Op)
			c.steps[o] = append(c.steps[o], i)
		}
	}
	for _, s := range two.trace.Steps {
		if !two.isConstant(s) && two.computes(s) && !c.find(s) {
			return stepError(s.Op, s.Site, errCount)
		}
	}
	return nil
}

// computes tells whether a step does more than move elements of the input.
func (b *builder) computes(s graph.Step) bool {
	switch s.Op.(type) {
	case nn.View, op.Transpose, op.BroadcastTo, op.Slice, op.Split, op.Tile, op.Take, op.Dropout:
		return false
	case op.Concat:
		return slices.ContainsFunc(s.In, func(v int) bool { return b.konst[v] != nil })
	case op.Embed, op.Lookup:
		return b.konst[s.In[1]] != nil
	case op.SelectItem:
		return b.konst[s.In[1]] == nil
	}
	return true
}

// find looks for a step of one that is s.
func (c *comparison) find(s graph.Step) bool {
	o := reflect.TypeOf(s.Op)
	steps, from := c.steps[o], c.next[o]
	for k := range steps {
		at := (from + k) % len(steps)
		if c.alike(c.one.trace.Steps[steps[at]], s) {
			c.next[o] = at + 1
			return true
		}
	}
	return false
}

func (c *comparison) alike(a, b graph.Step) bool {
	if len(a.In) != len(b.In) {
		return false
	}
	if _, ok := a.Op.(nn.Rowwise); !ok && !reflect.DeepEqual(a.Op, b.Op) {
		return false
	}
	for i := range a.In {
		x, y := c.one.konst[a.In[i]], c.two.konst[b.In[i]]
		if (x == nil) != (y == nil) || x != nil && !c.equal(x, y) {
			return false
		}
	}
	return true
}

// equal tells whether two is one, or one repeated for each row.
func (c *comparison) equal(one, two *tensor.Dense) bool {
	if one == two {
		return true
	}
	key := [2]*tensor.Dense{one, two}
	same, known := c.same[key]
	if !known {
		same = repeated(one, two)
		c.same[key] = same
	}
	return same
}

// repeated compares elements; those of one row lie together behind one of the axes.
func repeated(one, two *tensor.Dense) bool {
	if one.Dtype() != two.Dtype() {
		return false
	}
	a, b := nn.Floats(one), nn.Floats(two)
	if a == nil {
		return reflect.DeepEqual(one.Data(), two.Data())
	}
	if len(a) == len(b) {
		return slices.EqualFunc(a, b, sameBits)
	}
	if len(b) != rowsTogether*len(a) {
		return false
	}
	shape := one.Shape()
	for i := range len(shape) + 1 {
		n, equal := size(shape[i:]), true
		for k := 0; k < len(b) && equal; k++ {
			equal = sameBits(b[k], a[k/(rowsTogether*n)*n+k%n])
		}
		if equal {
			return true
		}
	}
	return false
}

func sameBits(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
