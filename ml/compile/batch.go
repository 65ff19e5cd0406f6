package compile

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// A trace has one row, so an operation over the batch axis, such as the mean of
// all rows, would work on each row alone and mean something else than in the
// network. This file follows the batch axis through a trace to refuse it. Where
// the axis can't be followed (a row that was taken out, axes that were joined)
// nothing is refused: either the pass was written for one row, or its trace of two
// rows tells (owners.go).

// axes is a set of axes one of which is the batch's; empty if that isn't known.
type axes uint64

func axis(i int) axes {
	if i < 0 || i > 63 {
		return 0
	}
	return 1 << i
}

func (a axes) has(i int) bool { return a&axis(i) != 0 }

// moved maps each axis i to where it went, below 0 for nowhere.
func (a axes) moved(to func(i int) int) axes {
	var out axes
	for i := range 64 {
		if a.has(i) {
			out |= axis(to(i))
		}
	}
	return out
}

// checkBatch refuses steps that put rows of a batch together.
func (b *builder) checkBatch() error {
	at := make([]axes, len(b.trace.Values))
	at[b.trace.Inputs[0]] = axis(0)
	for _, s := range b.trace.Steps {
		in, unknown := b.batchOf(s, at)
		if len(in) == 0 || unknown {
			continue
		}
		out, err := b.follow(s, in)
		if err != nil {
			return stepError(s.Op, s.Site, fmt.Errorf("%w: %w", ErrForward, err))
		}
		for _, v := range s.Out {
			at[v] = out
		}
	}
	return nil
}

// batchOf lists the batch axes of the inputs that depend on the network's, by
// input.
func (b *builder) batchOf(s graph.Step, at []axes) (in map[int]axes, unknown bool) {
	in = map[int]axes{}
	for i, v := range s.In {
		if b.konst[v] == nil {
			in[i] = at[v]
			unknown = unknown || at[v] == 0
		}
	}
	return in, unknown
}

// follow tells where an operation leaves the batch axis.
func (b *builder) follow(s graph.Step, in map[int]axes) (axes, error) {
	x, out := b.trace.Values[s.In[0]].Spec, b.trace.Values[s.Out[0]].Spec
	rank := len(x.Shape)
	switch o := s.Op.(type) {
	case op.Sum:
		return reduced(in[0], o.Axes, rank)
	case op.Mean:
		return reduced(in[0], o.Axes, rank)
	case op.Max:
		return reduced(in[0], o.Axes, rank)
	case op.Min:
		return reduced(in[0], o.Axes, rank)
	case op.Prod:
		return reduced(in[0], o.Axes, rank)
	case op.Index:
		return reduced(in[0], op.Axes{Over: []int{o.Axis}, Keep: true}, rank)
	case op.Cumulate:
		return along(in[0], o.Axis, rank)
	case op.Top:
		return along(in[0], o.Axis, rank)
	case op.Resample:
		return along(in[0], o.Axis, rank)
	case op.LogSumExp:
		return reduced(in[0], op.Axes{Over: []int{o.Axis}}, rank)
	case op.MeanSquaredError, op.MeanAbsoluteError:
		return reduced(in[0], op.Axes{}, rank)
	case op.Softmax:
		return along(in[0], o.Axis, rank)
	case op.LogSoftmax:
		return along(in[0], o.Axis, rank)
	case op.L2Normalize:
		return along(in[0], o.Axis, rank)
	case op.Reshape:
		return reshaped(in[0], x.Shape, out.Shape, o.Shape), nil
	case op.Transpose:
		return transposed(in[0], o.Axes, rank), nil
	case op.Slice:
		return sliced(in[0], o.Ranges)
	case op.Take:
		return along(in[0], o.Axis, rank)
	case op.TakeAlong:
		if at := kept(in, rank, b.specs(s), out); at != 0 {
			return along(at, o.Axis, rank)
		}
		return 0, nil
	case op.Concat, op.Split, op.BroadcastTo, op.Tile, op.Pad:
		return kept(in, len(out.Shape), b.specs(s), out), nil
	case op.MatMul:
		return product(in, o, rank)
	case op.Add, op.Sub, op.Mul, op.Div, op.Pow, op.Minimum, op.Maximum, op.Where, op.Zip, op.Select:
		return b.elementwise(s, in)
	case op.Embed, op.Lookup: // in a constant table
		if len(in) == 1 {
			return in[0], nil
		}
		return 0, nil
	case op.Linear, op.Conv2D, op.Deconv2D, op.MaxPool2D, op.AvgPool2D, op.FixedBatchNorm, op.Standardize, op.LSTM, op.GRU:
		return leading(in)
	}
	if len(in) == 1 && x.Equal(out) {
		return in[0], nil
	}
	return 0, nil // of the user's own
}

func (b *builder) specs(s graph.Step) []nn.Spec {
	specs := make([]nn.Spec, len(s.In))
	for i, v := range s.In {
		specs[i] = b.trace.Values[v].Spec
	}
	return specs
}

// mixesRows says what is wrong with a step over the batch axis.
func mixesRows(what string) error {
	return fmt.Errorf("it %s the batch axis, so that a row's result would depend on the rows beside it", what)
}

// reduced is for operations that make one element of an axis.
func reduced(in axes, o op.Axes, rank int) (axes, error) {
	var gone axes
	for i := range rank {
		if len(o.Over) == 0 {
			gone |= axis(i)
		}
	}
	for _, i := range o.Over {
		gone |= axis((i + rank) % max(rank, 1))
	}
	if in&^gone == 0 {
		return 0, mixesRows("goes over")
	}
	if o.Keep {
		return in &^ gone, nil
	}
	return (in &^ gone).moved(func(i int) int {
		to := i
		for k := range i {
			if gone.has(k) {
				to--
			}
		}
		return to
	}), nil
}

// along is for operations that look at an axis as a whole and keep it.
func along(in axes, over, rank int) (axes, error) {
	rest := in &^ axis((over+rank)%max(rank, 1))
	if rest == 0 {
		return 0, mixesRows("goes along")
	}
	return rest, nil
}

// reshaped finds the axes of one element where the batch can be: as many
// elements must lie within as before. Failing that the batch has been joined with
// the axis that takes what is left, or with one whose size is given, such as rows times
// planes: then nothing is known.
func reshaped(in axes, from, to, given []int) axes {
	var out axes
	for i := range from {
		if !in.has(i) {
			continue
		}
		within, found := size(from[i+1:]), axes(0)
		for k := range to {
			if to[k] == 1 && size(to[k+1:]) == within {
				found |= axis(k)
			}
		}
		for k := range to {
			if found == 0 && given[k] == -1 && size(to[k+1:]) <= within && within <= size(to[k:]) {
				found = axis(k)
			}
		}
		if found == 0 {
			return 0
		}
		out |= found
	}
	return out
}

func transposed(in axes, order []int, rank int) axes {
	return in.moved(func(i int) int {
		for to, from := range order {
			if (from+rank)%rank == i {
				return to
			}
		}
		return rank - 1 - i // no order reverses the axes
	})
}

// sliced takes each element of the batch axis, or the only row of a pass that was
// written for one.
func sliced(in axes, ranges []op.Range) (axes, error) {
	var out, strange axes
	to := 0
	for i := range 64 {
		if i < len(ranges) {
			if ranges[i].Step != 1 && !ranges[i].Drop {
				strange |= axis(i)
			}
			if ranges[i].Drop {
				continue
			}
		}
		if in.has(i) {
			out |= axis(to)
		}
		to++
	}
	if in&^strange == 0 {
		return 0, mixesRows("picks from")
	}
	return out, nil
}

// kept is for operations that leave an axis alone if its size is the same; axes
// are counted from the last.
func kept(in map[int]axes, rank int, specs []nn.Spec, out nn.Spec) axes {
	all := ^axes(0)
	for i, a := range in {
		shape := specs[i].Shape
		all &= a.moved(func(k int) int {
			to := k + rank - len(shape)
			if out.Shape[to] != shape[k] {
				return -1
			}
			return to
		})
	}
	return all
}

// product is for matrices, or batches of them.
func product(in map[int]axes, o op.MatMul, rank int) (axes, error) {
	rows, columns := rank-2, rank-1
	inner := [2]int{columns, rows} // what is summed over, of a and b
	if o.TransA {
		inner[0] = rows
	}
	if o.TransB {
		inner[1] = columns
	}
	outer := [2]int{rows, columns} // where the other axis of each goes
	all := ^axes(0)
	for i, a := range in {
		if a&^axis(inner[i]) == 0 {
			return 0, mixesRows("sums over")
		}
		all &= (a &^ axis(inner[i])).moved(func(k int) int {
			if k < rows {
				return k
			}
			return outer[i]
		})
	}
	if all == 0 {
		return 0, mixesRows("multiplies each row with each along")
	}
	return all, nil
}

// elementwise is for operations whose operands broadcast.
func (b *builder) elementwise(s graph.Step, in map[int]axes) (axes, error) {
	out := b.trace.Values[s.Out[0]].Spec.Shape
	all := ^axes(0)
	for i, a := range in {
		shape := b.trace.Values[s.In[i]].Spec.Shape
		all &= a.moved(func(k int) int { return k + len(out) - len(shape) })
	}
	if all == 0 {
		return 0, mixesRows("combines two arrays of which each has another axis as")
	}
	return all.moved(func(k int) int {
		if out[k] != 1 {
			return -1 // it broadcasts to more than one row
		}
		return k
	}), nil
}

// leading is for layers, whose first axis is the batch.
func leading(in map[int]axes) (axes, error) {
	for _, a := range in {
		if !a.has(0) {
			return 0, mixesRows("doesn't have first, where it is expected,")
		}
	}
	return axis(0), nil
}
