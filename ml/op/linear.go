package op

import (
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// Linear is x W^T + b. Inputs x (N, in), W (out, in), [b (out)]; output
// (N, out).
type Linear struct{}

func (Linear) Name() string           { return "Linear" }
func (Linear) Accumulates(i int) bool { return i < 2 }

func (Linear) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 2, "x", "W", "b"); err != nil {
		return nil, err
	}
	x, w := in[0].Shape, in[1].Shape
	if len(x) != 2 || len(w) != 2 {
		return nil, nn.ShapeErrorf("want x (N, in) and W (out, in)")
	}
	if x[1] != w[1] {
		return nil, nn.ShapeErrorf("x has %d columns, W wants %d", x[1], w[1])
	}
	if len(in) == 3 && !slices.Equal(in[2].Shape, w[:1]) {
		return nil, nn.ShapeErrorf("b must be (%d)", w[0])
	}
	return one(x[0], w[0]), nil
}

func (Linear) Forward(c *nn.Call) error {
	n, out, in := c.In[0].Shape()[0], c.In[1].Shape()[0], c.In[1].Shape()[1]
	kernel.Gemm(false, true, n, out, in, 1, c.X(0), in, c.X(1), in, 0, c.Y(0), out)
	if b := c.X(2); b != nil {
		kernel.AddBias(c.Y(0), n, out, b)
	}
	return nil
}

func (Linear) Backward(c *nn.Call) error {
	n, out, in := c.In[0].Shape()[0], c.In[1].Shape()[0], c.In[1].Shape()[1]
	if gx := c.GX(0); gx != nil {
		kernel.Gemm(false, false, n, in, out, 1, c.GY(0), out, c.X(1), in, beta(c, 0), gx, in)
	}
	if gw := c.GX(1); gw != nil {
		kernel.Gemm(true, false, out, in, n, 1, c.GY(0), out, c.X(0), in, beta(c, 1), gw, in)
	}
	if gb := c.GX(2); gb != nil {
		kernel.SumRows(gb, c.GY(0), n, out)
	}
	return nil
}

// beta is Gemm's factor for what the gradient of input i already holds.
func beta(c *nn.Call, i int) float32 {
	if c.Add[i] {
		return 1
	}
	return 0
}

// MatMul is the matrix product of a and b, each transposed first if asked;
// with three dimensions, of each pair along the first. Inputs a (M, K) or
// (B, M, K), b alike; output (M, N) or (B, M, N).
type MatMul struct{ TransA, TransB bool }

func (MatMul) Name() string { return "MatMul" }

func (o MatMul) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 2, "a", "b"); err != nil {
		return nil, err
	}
	a, b := in[0].Shape, in[1].Shape
	if len(a) != len(b) || len(a) != 2 && len(a) != 3 {
		return nil, nn.ShapeErrorf("want two matrices or two batches of matrices")
	}
	if len(a) == 3 && a[0] != b[0] {
		return nil, nn.ShapeErrorf("batches of %d and %d matrices", a[0], b[0])
	}
	_, m, n, k, kb := o.dims(a, b)
	if k != kb {
		return nil, nn.ShapeErrorf("a has %d columns, b has %d rows", k, kb)
	}
	return one(append(slices.Clone(a[:len(a)-2]), m, n)...), nil
}

func (o MatMul) dims(a, b []int) (batch, m, n, k, kb int) {
	batch = 1
	if len(a) == 3 {
		batch, a, b = a[0], a[1:], b[1:]
	}
	m, k, kb, n = a[0], a[1], b[0], b[1]
	if o.TransA {
		m, k = k, m
	}
	if o.TransB {
		kb, n = n, kb
	}
	return batch, m, n, k, kb
}

func (o MatMul) Forward(c *nn.Call) error {
	a, b := c.In[0].Shape(), c.In[1].Shape()
	batch, m, n, k, _ := o.dims(a, b)
	for i := range batch {
		kernel.Gemm(o.TransA, o.TransB, m, n, k, 1, c.X(0)[i*m*k:], a[len(a)-1], c.X(1)[i*k*n:], b[len(b)-1], 0, c.Y(0)[i*m*n:], n)
	}
	return nil
}

func (o MatMul) Backward(c *nn.Call) error {
	as, bs := c.In[0].Shape(), c.In[1].Shape()
	batch, m, n, k, _ := o.dims(as, bs)
	lda, ldb := as[len(as)-1], bs[len(bs)-1]
	for i := range batch {
		a, b, gy := c.X(0)[i*m*k:], c.X(1)[i*k*n:], c.GY(0)[i*m*n:]
		if ga := c.GX(0); ga != nil {
			if o.TransA { // stored K x M: op(b) gy^T
				kernel.Gemm(o.TransB, true, k, m, n, 1, b, ldb, gy, n, 0, ga[i*m*k:], lda)
			} else { // gy op(b)^T
				kernel.Gemm(false, !o.TransB, m, k, n, 1, gy, n, b, ldb, 0, ga[i*m*k:], lda)
			}
		}
		if gb := c.GX(1); gb != nil {
			if o.TransB { // stored N x K: gy^T op(a)
				kernel.Gemm(true, o.TransA, n, k, m, 1, gy, n, a, lda, 0, gb[i*k*n:], ldb)
			} else { // op(a)^T gy
				kernel.Gemm(!o.TransA, false, k, n, m, 1, a, lda, gy, n, 0, gb[i*k*n:], ldb)
			}
		}
	}
	return nil
}

// Embed looks rows of a table up; an id equal to Ignore gives zeros. Inputs ids
// int32 (any shape), W (V, D); output ids' shape with D appended.
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
	if in[0].Dtype != tensor.Int32 || in[1].Dtype != tensor.Float32 || len(in[1].Shape) != 2 {
		return nil, nn.ShapeErrorf("want int32 ids and W (vocabulary, dimension)")
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
	ids := nn.Ints(c.In[0])
	if !o.HasIgnore && slices.Contains(ids, noID) {
		return nn.ValueErrorf("id %d, want 0..%d", noID, rows-1)
	}
	if err := kernel.Gather(c.Y(0), c.X(1), rows, dim, ids, o.Ignored()); err != nil {
		return nn.ValueErrorf("%v", err)
	}
	return nil
}

func (o Embed) Backward(c *nn.Call) error {
	rows, dim := c.In[1].Shape()[0], c.In[1].Shape()[1]
	if !c.Add[1] {
		clear(c.GX(1))
	}
	return kernel.ScatterAdd(c.GX(1), c.GY(0), rows, dim, nn.Ints(c.In[0]), o.Ignored())
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
