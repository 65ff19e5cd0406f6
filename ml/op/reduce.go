package op

import (
	"math"
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// Axes says what a reduction goes over: the listed axes, or all of them if
// none is listed, and whether they stay as dimensions of size 1.
type Axes struct {
	Over []int
	Keep bool
}

// plan returns the reduced shape and, for walking x's elements beside the
// result's, the result's layout over x's shape.
func (a Axes) plan(x []int) (shape []int, result layout, err error) {
	gone := make([]bool, len(x))
	for _, axis := range a.Over {
		k, err := axisOf(axis, len(x))
		if err != nil {
			return nil, layout{}, err
		}
		if gone[k] {
			return nil, layout{}, nn.ShapeErrorf("axis %d twice", axis)
		}
		gone[k] = true
	}
	kept := slices.Clone(x)
	shape = []int{}
	for i, d := range x {
		if gone[i] || len(a.Over) == 0 {
			kept[i] = 1
			if a.Keep {
				shape = append(shape, 1)
			}
			continue
		}
		shape = append(shape, d)
	}
	return shape, broadcast(kept, x), nil
}

func (a Axes) outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 1, "x"); err != nil {
		return nil, err
	}
	s, _, err := a.plan(in[0].Shape)
	if err != nil {
		return nil, err
	}
	return one(s...), nil
}

// Sum adds over axes. Input x; output x's shape without the axes.
type Sum struct{ Axes }

func (Sum) Name() string                              { return "Sum" }
func (o Sum) Outputs(in []nn.Spec) ([]nn.Spec, error) { return o.outputs(in) }
func (o Sum) Forward(c *nn.Call) error                { return o.total(c, 1) }
func (o Sum) Backward(c *nn.Call) error               { return o.spread(c, 1) }

// Mean averages over axes. Input x; output x's shape without the axes.
type Mean struct{ Axes }

func (Mean) Name() string                              { return "Mean" }
func (o Mean) Outputs(in []nn.Spec) ([]nn.Spec, error) { return o.outputs(in) }
func (o Mean) Forward(c *nn.Call) error                { return o.total(c, meanScale(c)) }
func (o Mean) Backward(c *nn.Call) error               { return o.spread(c, meanScale(c)) }

func meanScale(c *nn.Call) float32 { return float32(len(c.Y(0))) / float32(len(c.X(0))) }

func (a Axes) total(c *nn.Call, scale float32) error {
	x, y := c.X(0), c.Y(0)
	if len(y) == 1 {
		y[0] = kernel.Sum(x) * scale
		return nil
	}
	shape := c.In[0].Shape()
	_, result, err := a.plan(shape)
	if err != nil {
		return err
	}
	clear(y)
	accumulate(y, result, x, rowMajor(shape), shape)
	if scale != 1 {
		kernel.Scale(y, scale)
	}
	return nil
}

func (a Axes) spread(c *nn.Call, scale float32) error {
	shape := c.In[0].Shape()
	_, result, err := a.plan(shape)
	if err != nil {
		return err
	}
	move(c.GX(0), rowMajor(shape), c.GY(0), result, shape)
	if scale != 1 {
		kernel.Scale(c.GX(0), scale)
	}
	return nil
}

// Max is the largest element over axes. The gradient goes to every element
// that equals it, as in Chainer. Input x; output x's shape without the axes.
type Max struct{ Axes }

func (Max) Name() string                              { return "Max" }
func (o Max) Outputs(in []nn.Spec) ([]nn.Spec, error) { return o.outputs(in) }
func (o Max) Backward(c *nn.Call) error               { return o.toEqual(c) }
func (o Max) Forward(c *nn.Call) error {
	return o.extreme(c, float32(math.Inf(-1)), func(a, b float32) float32 { return max(a, b) })
}

// Min is the smallest element over axes. The gradient goes to every element
// that equals it. Input x; output x's shape without the axes.
type Min struct{ Axes }

func (Min) Name() string                              { return "Min" }
func (o Min) Outputs(in []nn.Spec) ([]nn.Spec, error) { return o.outputs(in) }
func (o Min) Backward(c *nn.Call) error               { return o.toEqual(c) }
func (o Min) Forward(c *nn.Call) error {
	return o.extreme(c, float32(math.Inf(1)), func(a, b float32) float32 { return min(a, b) })
}

func (a Axes) extreme(c *nn.Call, start float32, f func(a, b float32) float32) error {
	x, y, shape := c.X(0), c.Y(0), c.In[0].Shape()
	_, result, err := a.plan(shape)
	if err != nil {
		return err
	}
	kernel.Fill(y, start)
	walk(shape, result, rowMajor(shape), func(j, i, n, dj, di int) {
		for ; n > 0; n-- {
			y[j] = f(y[j], x[i])
			j += dj
			i += di
		}
	})
	return nil
}

func (a Axes) toEqual(c *nn.Call) error {
	x, y, gx, gy, shape := c.X(0), c.Y(0), c.GX(0), c.GY(0), c.In[0].Shape()
	_, result, err := a.plan(shape)
	if err != nil {
		return err
	}
	walk(shape, result, rowMajor(shape), func(j, i, n, dj, di int) {
		for ; n > 0; n-- {
			gx[i] = chosen(x[i] == y[j], gy[j])
			j += dj
			i += di
		}
	})
	return nil
}

// LogSumExp is log(sum(exp(x))) along Axis, computed without overflow. Input x;
// output x's shape without the axis.
type LogSumExp struct{ Axis int }

func (LogSumExp) Name() string { return "LogSumExp" }

func (o LogSumExp) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	return Axes{Over: []int{o.Axis}}.outputs(in)
}

func (o LogSumExp) Forward(c *nn.Call) error {
	outer, n, inner := around(c.In[0], o.Axis)
	kernel.LogSumExp(c.Y(0), c.X(0), outer, n, inner)
	return nil
}

func (o LogSumExp) Backward(c *nn.Call) error {
	outer, n, inner := around(c.In[0], o.Axis)
	gx, gy := c.GX(0), c.GY(0)
	kernel.Softmax(gx, c.X(0), outer, n, inner)
	for i := range gx {
		gx[i] *= gy[i/(n*inner)*inner+i%inner]
	}
	return nil
}

// Argmax is the index of the largest element along Axis, the first of several.
// Input x; output int32, x's shape without the axis. It has no gradient.
type Argmax struct{ Axis int }

func (Argmax) Name() string { return "Argmax" }

func (o Argmax) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	out, err := Axes{Over: []int{o.Axis}}.outputs(in)
	if err != nil {
		return nil, err
	}
	out[0].Dtype = tensor.Int32
	return out, nil
}

func (o Argmax) Forward(c *nn.Call) error {
	outer, n, inner := around(c.In[0], o.Axis)
	x, y := c.X(0), nn.Ints(c.Out[0])
	for i := range outer {
		for j := range inner {
			y[i*inner+j] = int32(largest(x[i*n*inner+j:], n, inner))
		}
	}
	return nil
}

// largest returns which of n elements, stride apart, is the largest, the first
// of several.
func largest(x []float32, n, stride int) int {
	best := 0
	for k := 1; k < n; k++ {
		if x[k*stride] > x[best*stride] {
			best = k
		}
	}
	return best
}
