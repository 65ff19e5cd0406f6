package op

import (
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
)

// The operations of this file look at an axis as a whole. They have no gradient.

// Prod multiplies over axes. Input x; output x's shape without the axes.
type Prod struct{ Axes }

func (Prod) Name() string                              { return "Prod" }
func (o Prod) Outputs(in []nn.Spec) ([]nn.Spec, error) { return o.outputs(in) }
func (o Prod) Forward(c *nn.Call) error {
	return o.extreme(c, 1, func(a, b float32) float32 { return a * b })
}

// Index is the place of the largest element along Axis, or the smallest with
// Least, as float32: the first of several, or the last of them with Last. Input x;
// output x's shape with one element of the axis.
type Index struct {
	Axis        int
	Least, Last bool
}

func (Index) Name() string { return "Index" }

func (o Index) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkPlaces(in, o.Axis); err != nil {
		return nil, err
	}
	return Axes{Over: []int{o.Axis}, Keep: true}.outputs(in)
}

// checkPlaces refuses an axis whose places float32 doesn't tell apart.
func checkPlaces(in []nn.Spec, axis int) error {
	if _, err := alongAxis(in, axis); err != nil {
		return err
	}
	if n := in[0].Shape[mustAxis(axis, len(in[0].Shape))]; n > MaxExact {
		return nn.ShapeErrorf("an axis of %d, the most is %d", n, MaxExact)
	}
	return nil
}

func (o Index) Forward(c *nn.Call) error {
	outer, n, inner := around(c.In[0], o.Axis)
	x, y := c.X(0), c.Y(0)
	for i := range outer * inner {
		v, best := x[i/inner*n*inner+i%inner:], 0
		for k := 1; k < n; k++ {
			a, b := v[k*inner], v[best*inner]
			if a == b && o.Last || o.Least && a < b || !o.Least && a > b {
				best = k
			}
		}
		y[i] = float32(best)
	}
	return nil
}

// Cumulate adds up along Axis, or multiplies with Product: each result is of the
// elements up to its place, without that with Exclusive, from behind with Reverse.
// Input x; output of the same shape.
type Cumulate struct {
	Axis                        int
	Exclusive, Reverse, Product bool
}

func (Cumulate) Name() string                              { return "Cumulate" }
func (o Cumulate) Outputs(in []nn.Spec) ([]nn.Spec, error) { return alongAxis(in, o.Axis) }

func (o Cumulate) Forward(c *nn.Call) error {
	outer, n, inner := around(c.In[0], o.Axis)
	x, y := c.X(0), c.Y(0)
	for i := range outer * inner {
		at, sum := i/inner*n*inner+i%inner, 0.0
		if o.Product {
			sum = 1
		}
		for k := range n {
			p := at + k*inner
			if o.Reverse {
				p = at + (n-1-k)*inner
			}
			before, v := sum, float64(x[p])
			if sum += v; o.Product {
				sum = before * v
			}
			if y[p] = float32(sum); o.Exclusive {
				y[p] = float32(before)
			}
		}
	}
	return nil
}

// Top are the K largest elements along Axis, or the smallest with Least, in order;
// the first of equal ones comes first. Input x; outputs x's shape with K elements
// of the axis: the elements and their places, as float32.
type Top struct {
	Axis, K int
	Least   bool
}

func (Top) Name() string { return "Top" }

func (o Top) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkPlaces(in, o.Axis); err != nil {
		return nil, err
	}
	shape := slices.Clone([]int(in[0].Shape))
	axis := mustAxis(o.Axis, len(shape))
	if o.K < 1 || o.K > shape[axis] {
		return nil, nn.ValueErrorf("the top %d of an axis of %d", o.K, shape[axis])
	}
	shape[axis] = o.K
	return append(one(shape...), nn.FloatSpec(slices.Clone(shape)...)), nil
}

func (o Top) Forward(c *nn.Call) error {
	outer, n, inner := around(c.In[0], o.Axis)
	x, values, places := c.X(0), c.Y(0), c.Y(1)
	order := make([]int, n)
	for i := range outer * inner {
		v := x[i/inner*n*inner+i%inner:]
		for k := range order {
			order[k] = k
		}
		slices.SortStableFunc(order, func(a, b int) int {
			if o.Least {
				a, b = b, a
			}
			switch {
			case v[a*inner] > v[b*inner]:
				return -1
			case v[a*inner] < v[b*inner]:
				return 1
			}
			return 0
		})
		for k, at := range order[:o.K] {
			p := i/inner*o.K*inner + k*inner + i%inner
			values[p], places[p] = v[at*inner], float32(at)
		}
	}
	return nil
}

// Resample makes each element along Axis of Taps elements of the axis, at Index
// and with the weights Weight, both by output element. Resizing by any method that
// treats the axes one after another is this. Input x; output x's shape with
// len(Index)/Taps elements of the axis.
type Resample struct {
	Axis, Taps int
	Index      []int32
	Weight     []float32
}

func (Resample) Name() string { return "Resample" }

func (o Resample) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if _, err := alongAxis(in, o.Axis); err != nil {
		return nil, err
	}
	shape := slices.Clone([]int(in[0].Shape))
	axis := mustAxis(o.Axis, len(shape))
	if o.Taps < 1 || len(o.Index) == 0 || len(o.Index)%o.Taps != 0 || len(o.Weight) != len(o.Index) {
		return nil, nn.ShapeErrorf("%d indices and %d weights for %d taps", len(o.Index), len(o.Weight), o.Taps)
	}
	for _, i := range o.Index {
		if i < 0 || int(i) >= shape[axis] {
			return nil, nn.ShapeErrorf("index %d outside axis %d of %d", i, axis, shape[axis])
		}
	}
	shape[axis] = len(o.Index) / o.Taps
	return one(shape...), nil
}

func (o Resample) Forward(c *nn.Call) error {
	outer, n, inner := around(c.In[0], o.Axis)
	x, y := c.X(0), c.Y(0)
	for i := range outer {
		from := x[i*n*inner : (i+1)*n*inner]
		for k := 0; k < len(o.Index); k += o.Taps {
			to := y[:inner]
			clear(to)
			for t := k; t < k+o.Taps; t++ {
				if w := o.Weight[t]; w != 0 {
					for j, v := range from[int(o.Index[t])*inner:][:inner] {
						to[j] += w * v
					}
				}
			}
			y = y[inner:]
		}
	}
	return nil
}
