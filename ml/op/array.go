package op

import (
	"slices"

	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
)

// Reshape gives the same elements another shape; one dimension may be -1 and
// takes what is left. Input x of any type; output of Shape.
type Reshape struct{ Shape []int }

func (Reshape) Name() string { return "Reshape" }
func (Reshape) View()        {}

func (o Reshape) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkCount(in, 1, "x"); err != nil {
		return nil, err
	}
	shape := slices.Clone(o.Shape)
	free, n := -1, 1
	for i, d := range shape {
		switch {
		case d == -1 && free < 0:
			free = i
		case d < 1:
			return nil, nn.ShapeErrorf("cannot reshape to %s", nn.FormatShape(o.Shape))
		default:
			n *= d
		}
	}
	if free >= 0 {
		shape[free] = max(1, in[0].Size()/n)
		n *= shape[free]
	}
	if n != in[0].Size() {
		return nil, nn.ShapeErrorf("cannot reshape %d elements to %s", in[0].Size(), nn.FormatShape(o.Shape))
	}
	return []nn.Spec{{Shape: shape, Dtype: in[0].Dtype}}, nil
}

func (o Reshape) Forward(c *nn.Call) error {
	flat := layout{stride: []int{1}}
	moveArray(c.Out[0], flat, c.In[0], flat, []int{c.In[0].Shape().TotalSize()})
	return nil
}

func (o Reshape) Backward(c *nn.Call) error {
	copy(c.GX(0), c.GY(0))
	return nil
}

// Transpose permutes axes: axis i of the output is axis Axes[i] of x. No Axes
// reverses them. Input x of any type.
type Transpose struct{ Axes []int }

func (Transpose) Name() string { return "Transpose" }

func (o Transpose) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkCount(in, 1, "x"); err != nil {
		return nil, err
	}
	axes, err := o.permutation(len(in[0].Shape))
	if err != nil {
		return nil, err
	}
	shape := make([]int, len(axes))
	for i, a := range axes {
		shape[i] = in[0].Shape[a]
	}
	return []nn.Spec{{Shape: shape, Dtype: in[0].Dtype}}, nil
}

func (o Transpose) permutation(dims int) ([]int, error) {
	axes := make([]int, dims)
	if len(o.Axes) == 0 {
		for i := range axes {
			axes[i] = dims - 1 - i
		}
		return axes, nil
	}
	if len(o.Axes) != dims {
		return nil, nn.ShapeErrorf("%d axes for %d dimensions", len(o.Axes), dims)
	}
	seen := make([]bool, dims)
	for i, a := range o.Axes {
		a, err := axisOf(a, dims)
		if err != nil {
			return nil, err
		}
		if seen[a] {
			return nil, nn.ShapeErrorf("axis %d twice", a)
		}
		seen[a], axes[i] = true, a
	}
	return axes, nil
}

// source is x's layout over the output's shape.
func (o Transpose) source(c *nn.Call) layout {
	axes, _ := o.permutation(len(c.In[0].Shape()))
	x := rowMajor(c.In[0].Shape())
	l := layout{stride: make([]int, len(axes))}
	for i, a := range axes {
		l.stride[i] = x.stride[a]
	}
	return l
}

func (o Transpose) Forward(c *nn.Call) error {
	shape := c.Out[0].Shape()
	moveArray(c.Out[0], rowMajor(shape), c.In[0], o.source(c), shape)
	return nil
}

func (o Transpose) Backward(c *nn.Call) error {
	shape := c.Out[0].Shape()
	move(c.GX(0), o.source(c), c.GY(0), rowMajor(shape), shape)
	return nil
}

// BroadcastTo repeats x along missing and size 1 dimensions. Input x; output of
// Shape.
type BroadcastTo struct{ Shape []int }

func (BroadcastTo) Name() string { return "BroadcastTo" }

func (o BroadcastTo) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 1, "x"); err != nil {
		return nil, err
	}
	s, err := broadcastShape(in[0].Shape, o.Shape)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(s, o.Shape) {
		return nil, nn.ShapeErrorf("%s does not broadcast to %s", nn.FormatShape(in[0].Shape), nn.FormatShape(o.Shape))
	}
	return one(s...), nil
}

func (o BroadcastTo) Forward(c *nn.Call) error {
	shape := c.Out[0].Shape()
	move(c.Y(0), rowMajor(shape), c.X(0), broadcast(c.In[0].Shape(), shape), shape)
	return nil
}

func (o BroadcastTo) Backward(c *nn.Call) error {
	shape := c.Out[0].Shape()
	clear(c.GX(0))
	accumulate(c.GX(0), broadcast(c.In[0].Shape(), shape), c.GY(0), rowMajor(shape), shape)
	return nil
}

// Range selects from one axis: Count elements from From on, Step apart; a
// negative Step goes backward. With Drop the axis, of one element, disappears.
type Range struct {
	From, Count, Step int
	Drop              bool
}

// Slice selects a Range from each of the first axes; the others stay whole.
// Flip and GetItem are slices. Input x of any type.
type Slice struct{ Ranges []Range }

func (Slice) Name() string { return "GetItem" }

func (o Slice) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkCount(in, 1, "x"); err != nil {
		return nil, err
	}
	x := in[0].Shape
	if len(o.Ranges) > len(x) {
		return nil, nn.ShapeErrorf("%d indices for %d dimensions", len(o.Ranges), len(x))
	}
	shape := []int{}
	for i, r := range o.Ranges {
		last := r.From + (r.Count-1)*r.Step
		if r.Count < 1 || r.From < 0 || r.From >= x[i] || last < 0 || last >= x[i] || r.Drop && r.Count != 1 {
			return nil, nn.ShapeErrorf("index %+v outside axis %d of %d", r, i, x[i])
		}
		if !r.Drop {
			shape = append(shape, r.Count)
		}
	}
	return []nn.Spec{{Shape: append(shape, x[len(o.Ranges):]...), Dtype: in[0].Dtype}}, nil
}

// source is x's layout over the output's shape.
func (o Slice) source(x []int) layout {
	full := rowMajor(x)
	var l layout
	for i, r := range o.Ranges {
		l.offset += r.From * full.stride[i]
		if !r.Drop {
			l.stride = append(l.stride, r.Step*full.stride[i])
		}
	}
	l.stride = append(l.stride, full.stride[len(o.Ranges):]...)
	return l
}

func (o Slice) Forward(c *nn.Call) error {
	shape := c.Out[0].Shape()
	moveArray(c.Out[0], rowMajor(shape), c.In[0], o.source(c.In[0].Shape()), shape)
	return nil
}

func (o Slice) Backward(c *nn.Call) error {
	shape := c.Out[0].Shape()
	clear(c.GX(0))
	move(c.GX(0), o.source(c.In[0].Shape()), c.GY(0), rowMajor(shape), shape)
	return nil
}

// Pad puts Width[i][0] elements of Value before and Width[i][1] after axis i.
// Input x.
type Pad struct {
	Width [][2]int
	Value float32
}

func (Pad) Name() string { return "Pad" }

func (o Pad) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 1, "x"); err != nil {
		return nil, err
	}
	shape := slices.Clone(in[0].Shape)
	if len(o.Width) != len(shape) {
		return nil, nn.ShapeErrorf("%d widths for %d dimensions", len(o.Width), len(shape))
	}
	for i, w := range o.Width {
		if w[0] < 0 || w[1] < 0 {
			return nil, nn.ShapeErrorf("negative padding %v", w)
		}
		shape[i] += w[0] + w[1]
	}
	return one(shape...), nil
}

// target is x's place in the output.
func (o Pad) target(out []int) layout {
	l := rowMajor(out)
	for i, w := range o.Width {
		l.offset += w[0] * l.stride[i]
	}
	return l
}

func (o Pad) Forward(c *nn.Call) error {
	x := c.In[0].Shape()
	kernel.Fill(c.Y(0), o.Value)
	move(c.Y(0), o.target(c.Out[0].Shape()), c.X(0), rowMajor(x), x)
	return nil
}

func (o Pad) Backward(c *nn.Call) error {
	x := c.In[0].Shape()
	move(c.GX(0), rowMajor(x), c.GY(0), o.target(c.Out[0].Shape()), x)
	return nil
}

// Tile repeats x Reps[i] times along axis i; missing axes are put in front.
// Input x.
type Tile struct{ Reps []int }

func (Tile) Name() string { return "Tile" }

func (o Tile) Outputs(in []nn.Spec) ([]nn.Spec, error) {
	if err := checkFloats(in, 1, "x"); err != nil {
		return nil, err
	}
	shape, _, _, err := o.plan(in[0].Shape)
	if err != nil {
		return nil, err
	}
	return one(shape...), nil
}

// plan pairs each axis with its repetition: the output (r0*d0, r1*d1, ...) has
// the layout of (r0, d0, r1, d1, ...), over which x repeats.
func (o Tile) plan(x []int) (shape, pairs []int, source layout, err error) {
	dims := max(len(x), len(o.Reps))
	stride := rowMajor(x).stride
	for i := range dims {
		rep, d, s := 1, 1, 0
		if k := i - (dims - len(o.Reps)); k >= 0 {
			rep = o.Reps[k]
		}
		if k := i - (dims - len(x)); k >= 0 {
			d, s = x[k], stride[k]
		}
		if rep < 1 {
			return nil, nil, layout{}, nn.ShapeErrorf("%d repetitions", rep)
		}
		shape = append(shape, rep*d)
		pairs = append(pairs, rep, d)
		source.stride = append(source.stride, 0, s)
	}
	return shape, pairs, source, nil
}

func (o Tile) Forward(c *nn.Call) error {
	_, pairs, source, err := o.plan(c.In[0].Shape())
	if err != nil {
		return err
	}
	move(c.Y(0), rowMajor(pairs), c.X(0), source, pairs)
	return nil
}

func (o Tile) Backward(c *nn.Call) error {
	_, pairs, source, err := o.plan(c.In[0].Shape())
	if err != nil {
		return err
	}
	clear(c.GX(0))
	accumulate(c.GX(0), source, c.GY(0), rowMajor(pairs), pairs)
	return nil
}
