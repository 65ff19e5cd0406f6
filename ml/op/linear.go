package op

import (
	"slices"

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
