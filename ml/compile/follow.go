package compile

import (
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// step returns the owners of a step's outputs.
func (t *tracker) step(s graph.Step) ([]*owners, error) {
	out := make([]*owners, len(s.Out))
	if t.keepsHalves(s) {
		for i := range out {
			out[i] = &owners{halves: true}
		}
		return out, nil
	}
	each, err := t.elements(s)
	for i := range each {
		out[i] = compact(each[i])
	}
	return out, err
}

// elements returns the owners of each element of a step's outputs.
func (t *tracker) elements(s graph.Step) ([][]float32, error) {
	if elementwise(s.Op) {
		return t.broadcast(s)
	}
	if axes, inputs := t.itemwise(s); inputs != nil {
		return t.items(s, axes, inputs)
	}
	switch o := s.Op.(type) {
	case nn.View, op.Dropout, op.Transpose, op.BroadcastTo, op.Slice, op.Split, op.Concat, op.Tile, op.Take:
		return t.moved(s, s.Op)
	case op.Pad:
		return t.moved(s, op.Pad{Width: o.Width})
	case op.Embed, op.Lookup:
		return t.picked(s, 0)
	case op.SelectItem:
		return t.picked(s, 1)
	case op.Softmax:
		return t.along(s, o.Axis)
	case op.LogSoftmax:
		return t.along(s, o.Axis)
	case op.L2Normalize:
		return t.along(s, o.Axis)
	case op.Sum:
		return t.reduced(s, o.Axes)
	case op.Mean:
		return t.reduced(s, o.Axes)
	case op.Max:
		return t.reduced(s, o.Axes)
	case op.Min:
		return t.reduced(s, o.Axes)
	case op.Prod:
		return t.reduced(s, o.Axes)
	case op.Index:
		return t.reduced(s, op.Axes{Over: []int{o.Axis}, Keep: true})
	case op.Cumulate:
		return t.along(s, o.Axis)
	case op.Top:
		return t.along(s, o.Axis)
	case op.Resample:
		return t.along(s, o.Axis)
	case op.LogSumExp:
		return t.reduced(s, op.Axes{Over: []int{o.Axis}})
	case op.Argmax:
		return t.reduced(s, op.Axes{Over: []int{o.Axis}})
	case op.MatMul:
		return t.product(s, o)
	}
	return t.mingled(s)
}

// elementwise tells whether an operation makes each element of those at the same
// place of its operands, which broadcast.
func elementwise(o nn.Op) bool {
	switch o.(type) {
	case op.ReLU, op.LeakyReLU, op.ELU, op.Sigmoid, op.Tanh, op.Softplus, op.ClippedReLU, op.HardSigmoid,
		op.Neg, op.Exp, op.Log, op.Sqrt, op.Square, op.Abs, op.Affine, op.PowScalar, op.Clip, op.RoundHalf,
		op.Add, op.Sub, op.Mul, op.Div, op.Pow, op.Minimum, op.Maximum, op.Where, op.Huber,
		op.Map, op.Zip, op.Select, op.Exact:
		return true
	}
	return false
}

// itemwise tells which operations make item i of their outputs of item i of some
// of their inputs, where an item is what the first axes, as many as said, select.
// The other inputs are weights.
func (t *tracker) itemwise(s graph.Step) (axes int, inputs []int) {
	switch o := s.Op.(type) {
	case op.FixedBatchNorm, op.PReLU:
		axes, inputs = len(t.shape(s.In[0])), []int{0}
	case op.Embed, op.Lookup:
		if t.konst[s.In[0]] == nil {
			axes, inputs = len(t.shape(s.In[0])), []int{0}
		}
	case op.MaxPool2D, op.AvgPool2D, op.Unpool2D, op.Resize:
		axes, inputs = 2, []int{0}
	case op.Linear, op.Conv2D, op.Deconv2D, op.Standardize, op.LocalResponseNorm:
		axes, inputs = 1, []int{0}
	case op.LSTM:
		axes, inputs = 1, []int{0, 1}
	case op.GRU:
		axes, inputs = 1, []int{0, 1, 2}
	case op.TakeAlong:
		if axes = fromFront([]int{o.Axis}, len(t.shape(s.In[0])))[0]; axes > 0 {
			inputs = t.unknown(s)
		}
	case nn.Rowwise:
		axes, inputs = 1, t.unknown(s)
	}
	return axes, inputs
}

// unknown lists the inputs of a step that are no constants.
func (t *tracker) unknown(s graph.Step) (inputs []int) {
	for i, v := range s.In {
		if t.konst[v] == nil {
			inputs = append(inputs, i)
		}
	}
	return inputs
}

// keepsHalves tells, without looking at elements, that a step leaves the first
// half to row 0 and the second to row 1.
func (t *tracker) keepsHalves(s graph.Step) bool {
	for _, v := range s.In {
		if o := t.of[v]; o != nil && !o.halves {
			return false
		}
	}
	_, inputs := t.itemwise(s)
	_, view := s.Op.(nn.View)
	_, drops := s.Op.(op.Dropout)
	first := func(v int) int { // 0 without an axis
		shape := t.shape(v)
		if len(shape) == 0 {
			return 0
		}
		return shape[0]
	}
	switch n := first(s.Out[0]); {
	case view, drops:
		return true
	case elementwise(s.Op):
		for _, v := range s.In {
			if t.of[v] != nil && size(t.shape(v)) != size(t.shape(s.Out[0])) {
				return false
			}
		}
		return true
	case inputs != nil && n > 0 && n%2 == 0:
		for i, v := range s.In {
			if listed := slices.Contains(inputs, i); listed && first(v) != n || !listed && t.of[v] != nil {
				return false
			}
		}
		return !slices.ContainsFunc(s.Out, func(v int) bool { return first(v) != n })
	}
	return false
}

func (t *tracker) shape(v int) []int { return t.trace.Values[v].Spec.Shape }

// filled is n times one owner.
func filled(n int, o float32) []float32 {
	each := make([]float32, n)
	for i := range each {
		each[i] = o
	}
	return each
}

// moved is for operations that give elements other places: the operation itself
// moves the owners.
func (t *tracker) moved(s graph.Step, o nn.Op) ([][]float32, error) {
	in := make([]*tensor.Dense, len(s.In))
	for i, v := range s.In {
		in[i] = t.array(v)
	}
	if _, ok := o.(op.Dropout); ok {
		return [][]float32{nn.Floats(in[0])}, nil
	}
	return computed(o, in...)
}

// picked is for operations that pick elements by indices, input k, that are known.
func (t *tracker) picked(s graph.Step, k int) ([][]float32, error) {
	in := make([]*tensor.Dense, len(s.In))
	if t.konst[s.In[k]] == nil {
		return t.mingled(s)
	}
	for i, v := range s.In {
		if in[i] = t.konst[v]; i != k {
			in[i] = t.array(v)
		}
	}
	return computed(s.Op, in...)
}

// computed runs an operation.
func computed(o nn.Op, in ...*tensor.Dense) ([][]float32, error) {
	c, err := nn.NewCall(o, nil, in...)
	if err != nil {
		return nil, err
	}
	if err := o.Forward(c); err != nil {
		return nil, err
	}
	out := make([][]float32, len(c.Out))
	for i := range out {
		out[i] = c.Y(i)
	}
	return out, nil
}

// broadcast is for elementwise operations.
func (t *tracker) broadcast(s graph.Step) ([][]float32, error) {
	shape := t.shape(s.Out[0])
	all := make([]float32, size(shape))
	for _, v := range s.In {
		if t.of[v] == nil {
			continue
		}
		a, err := computed(op.BroadcastTo{Shape: shape}, t.array(v))
		if err != nil {
			return nil, err
		}
		for i, o := range a[0] {
			if all[i], err = join(all[i], o); err != nil {
				return nil, err
			}
		}
	}
	return [][]float32{all}, nil
}

// items is for itemwise operations.
func (t *tracker) items(s graph.Step, axes int, inputs []int) ([][]float32, error) {
	rows := make([][]float32, len(s.In)) // owners of the items
	for _, k := range inputs {
		v := s.In[k]
		rows[k] = make([]float32, size(t.shape(v)[:min(axes, len(t.shape(v)))]))
		each, err := nn.Floats(t.array(v)), error(nil)
		for i, n := 0, len(each)/len(rows[k]); i < len(rows[k]); i++ {
			if rows[k][i], err = joinAll(each[i*n : (i+1)*n]); err != nil {
				return nil, err
			}
		}
	}
	for k, v := range s.In {
		if rows[k] == nil && t.of[v] != nil { // weights that depend on the input
			return t.mingled(s)
		}
	}
	out := make([][]float32, len(s.Out))
	for j, v := range s.Out {
		shape := t.shape(v)
		count, err := size(shape[:min(axes, len(shape))]), error(nil)
		for _, k := range inputs {
			if len(rows[k]) != count { // its items aren't those of the inputs
				out, err := t.mingled(s)
				if errors.Is(err, errUnknown) {
					err = fmt.Errorf("%w: output %d is %s, input %d %s", errItems, j, nn.FormatShape(shape), k, nn.FormatShape(t.shape(s.In[k])))
				}
				return out, err
			}
		}
		n := size(shape) / count
		for i := range count {
			o := float32(nobody)
			for _, r := range rows {
				if r != nil {
					if o, err = join(o, r[i]); err != nil {
						return nil, err
					}
				}
			}
			out[j] = append(out[j], filled(n, o)...)
		}
	}
	return out, nil
}

// reduced is for operations that make one element of all along some axes.
func (t *tracker) reduced(s graph.Step, axes op.Axes) ([][]float32, error) {
	x := t.array(s.In[0])
	flipped := make([]float32, t.trace.Values[s.In[0]].Spec.Size())
	for i, o := range nn.Floats(x) {
		if o != nobody {
			flipped[i] = row0 + row1 - o
		}
	}
	high, err := computed(op.Max{Axes: axes}, x)
	if err != nil {
		return nil, err
	}
	low, err := computed(op.Max{Axes: axes}, arrayOf(flipped, x.Shape()))
	if err != nil {
		return nil, err
	}
	for i, o := range high[0] {
		if o == row1 && low[0][i] == row1 {
			return nil, errMixes
		}
	}
	return high, nil
}

// along is for operations that look at an axis as a whole and keep it, with as many
// elements or others.
func (t *tracker) along(s graph.Step, axis int) ([][]float32, error) {
	axes := op.Axes{Over: []int{axis}, Keep: true}
	all, err := t.reduced(s, axes)
	if err != nil {
		return nil, err
	}
	kept := append([]int{}, t.shape(s.In[0])...)
	kept[(axis+len(kept))%len(kept)] = 1
	var outs [][]float32
	for _, v := range s.Out {
		out, err := computed(op.BroadcastTo{Shape: t.shape(v)}, arrayOf(all[0], kept))
		if err != nil {
			return nil, err
		}
		outs = append(outs, out[0])
	}
	return outs, nil
}

// product is for matrices, or batches of them.
func (t *tracker) product(s graph.Step, o op.MatMul) ([][]float32, error) {
	var sides [2][][]float32
	for i, sum := range []int{-1, -2} { // what is summed over
		if i == 0 && o.TransA || i == 1 && o.TransB {
			sum = -3 - sum
		}
		part := graph.Step{In: s.In[i : i+1]}
		var err error
		if sides[i], err = t.reduced(part, op.Axes{Over: []int{len(t.shape(s.In[i])) + sum}}); err != nil {
			return nil, err
		}
	}
	shape := t.shape(s.Out[0])
	m, n := shape[len(shape)-2], shape[len(shape)-1]
	out, err := make([]float32, size(shape)), error(nil)
	for i := range out {
		batch, row, column := i/(m*n), i/n%m, i%n
		if out[i], err = join(sides[0][0][batch*m+row], sides[1][0][batch*n+column]); err != nil {
			return nil, err
		}
	}
	return [][]float32{out}, nil
}

// mingled is for operations of which nothing is known.
func (t *tracker) mingled(s graph.Step) ([][]float32, error) {
	all := float32(nobody)
	for _, v := range s.In {
		if t.of[v] == nil {
			continue
		}
		o, err := joinAll(nn.Floats(t.array(v)))
		if err == nil {
			all, err = join(all, o)
		}
		if err != nil {
			return nil, errUnknown
		}
	}
	out := make([][]float32, len(s.Out))
	for i, v := range s.Out {
		out[i] = filled(t.trace.Values[v].Spec.Size(), all)
	}
	return out, nil
}
