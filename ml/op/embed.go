package op

import (
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// Embed looks rows of a table up; an id equal to Ignore gives zeros. Inputs ids
// int32, or float32 with whole numbers below 2^24, of any shape, W (V, D); output
// ids' shape with D appended. Ids get no gradient.
type Embed struct {
	HasIgnore bool
	Ignore    int32
}

func (Embed) Name() string           { return "EmbedID" }
func (Embed) Accumulates(i int) bool { return i == 1 }

func (Embed) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkCount(in, 2, "ids", "W"); err != nil {
		return nil, err
	}
	if in[0].Dtype == tensor.Bool || in[1].Dtype != tensor.Float32 || len(in[1].Shape) != 2 {
		return nil, nn.ShapeErrorf("want ids of int32 or float32 and W (vocabulary, dimension)")
	}
	return one(append(slices.Clone([]int(in[0].Shape)), in[1].Shape[1])...), nil
}

// Ignored is the id that gives zeros; without one it is out of any table's
// range, and so that it stays an error it is checked in Forward.
func (o Embed) Ignored() int32 {
	if o.HasIgnore {
		return o.Ignore
	}
	return noID
}

const noID = -1 << 31

func (o Embed) Forward(c *nn.Call) error {
	rows, dim := c.In[1].Shape()[0], c.In[1].Shape()[1]
	ids, err := wholeNumbers(c)
	if err != nil {
		return err
	}
	c.Saved = ids
	if !o.HasIgnore && slices.Contains(ids, noID) {
		return nn.ValueErrorf("id %d, want 0..%d", noID, rows-1)
	}
	if err := kernel.Gather(c.Y(0), c.X(1), rows, dim, ids, o.Ignored()); err != nil {
		return nn.ValueErrorf("%v", err)
	}
	return nil
}

// exactFloats bounds the whole numbers that float32 tells apart.
const exactFloats = 1 << 24

// wholeNumbers gives the ids as integers.
func wholeNumbers(c *nn.Call) ([]int32, error) {
	if ids := nn.Ints(c.In[0]); ids != nil {
		return ids, nil
	}
	x := c.X(0)
	ids := c.KeepInts(len(x))
	for i, v := range x {
		if !(v > -exactFloats && v < exactFloats) || float32(int32(v)) != v {
			return nil, nn.ValueErrorf("id %v at element %d, want a whole number below 2^24", v, i)
		}
		ids[i] = int32(v)
	}
	return ids, nil
}

func (o Embed) Backward(c *nn.Call) error {
	clear(c.GX(0))
	gw := c.GX(1)
	if gw == nil {
		return nil
	}
	rows, dim := c.In[1].Shape()[0], c.In[1].Shape()[1]
	if !c.Add[1] {
		clear(gw)
	}
	return kernel.ScatterAdd(gw, c.GY(0), rows, dim, c.Saved.([]int32), o.Ignored())
}

// Lookup picks rows of an array by numbers that are kept as float32, as the rows
// of a compiled network are: whole numbers, which float32 holds exactly up to
// 2^24; one below zero counts from behind the last row. It has no gradient. Inputs
// ids (any shape), W (V, ...); output ids' shape with W's other dimensions
// appended.
type Lookup struct{}

func (Lookup) Name() string { return "Lookup" }

func (Lookup) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 2, "ids", "W"); err != nil {
		return nil, err
	}
	if len(in[1].Shape) == 0 {
		return nil, nn.ShapeErrorf("W has no rows")
	}
	return one(append(slices.Clone([]int(in[0].Shape)), in[1].Shape[1:]...)...), nil
}

func (Lookup) Forward(c *nn.Call) error {
	w := c.In[1].Shape()
	if err := kernel.Lookup(c.Y(0), c.X(1), w[0], size(w[1:]), c.X(0)); err != nil {
		return nn.ValueErrorf("%v", err)
	}
	return nil
}
