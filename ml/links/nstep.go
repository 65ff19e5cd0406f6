package links

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// NStepLink is made by NStepLSTM, NStepBiLSTM, NStepGRU and NStepBiGRU: layers
// of recurrent cells that read whole sequences of different lengths at once.
type NStepLink struct {
	Chain
	in         int
	layers     int
	directions int
	units      int
	dropout    float32
	cell       cell
	parts      []*nstepPart // 2*layer + direction with two directions
}

// cell is the kind of recurrent unit.
type cell struct {
	gates  int   // matrices that act on x, and as many on h
	order  []int // which of them each block of the packed gates is
	packed bool  // gates of a unit lie side by side (LSTM), else in blocks (GRU)
}

// nstepPart holds the parameters of one layer in one direction.
type nstepPart struct {
	Chain
	w, b []*nn.Parameter
}

// NStepLSTM stacks layers of long short-term memory, each reading the outputs
// of the one below. Parameters are LAYER/w0..w7 and b0..b7: 0 to 3 act on x, 4
// to 7 on h, in the order input, forget, cell, output.
//
// Options: InitW, Dropout.
func NStepLSTM(layers, in, out int, opts ...Option) *NStepLink {
	return newNStep(lstmCell(), layers, 1, in, out, opts)
}

// NStepBiLSTM is NStepLSTM in both directions; the outputs of the directions
// are side by side, and the parameters of layer L are under 2*L and 2*L+1.
func NStepBiLSTM(layers, in, out int, opts ...Option) *NStepLink {
	return newNStep(lstmCell(), layers, 2, in, out, opts)
}

// NStepGRU stacks layers of gated recurrent units. Parameters are LAYER/w0..w5
// and b0..b5: 0 to 2 act on x, 3 to 5 on h, in the order reset, update, new.
//
// Options: InitW, Dropout.
func NStepGRU(layers, in, out int, opts ...Option) *NStepLink {
	return newNStep(gruCell(), layers, 1, in, out, opts)
}

// NStepBiGRU is NStepGRU in both directions.
func NStepBiGRU(layers, in, out int, opts ...Option) *NStepLink {
	return newNStep(gruCell(), layers, 2, in, out, opts)
}

// lstmCell packs the gates as op.LSTM wants them: cell, input, forget, output.
func lstmCell() cell { return cell{gates: 4, order: []int{2, 0, 1, 3}, packed: true} }

func gruCell() cell { return cell{gates: 3, order: []int{0, 1, 2}} }

func newNStep(c cell, layers, directions, in, out int, opts []Option) *NStepLink {
	o := newOptions("NStep", opts, "InitW", "Dropout")
	o.atLeast(1, "layers", layers)
	o.atLeast(1, "input size", in)
	o.atLeast(1, "units", out)
	l := &NStepLink{in: in, layers: layers, directions: directions, units: out, dropout: float32(o.dropout), cell: c}
	if l.bad = o.err; l.bad != nil {
		return l
	}
	for i := range layers * directions {
		part := &nstepPart{}
		for k := range 2 * c.gates {
			from := out
			if k < c.gates && i < directions {
				from = in
			} else if k < c.gates {
				from = out * directions
			}
			part.w = append(part.w, AddParameter(part, "w"+strconv.Itoa(k), o.weight, out, from))
			part.b = append(part.b, AddParameter(part, "b"+strconv.Itoa(k), o.bias, out))
		}
		l.parts = append(l.parts, Add(l, strconv.Itoa(i), part))
	}
	return l
}

// Forward reads sequences xs, each of shape (length, in), in any order. hx and
// cx are the states to begin with, of shape (layers*directions, sequences,
// out), nil for zeros; a GRU has no cx. It gives the states after the last
// steps, cy nil for a GRU, and the top layer's outputs, (length,
// directions*out) for each sequence.
func (l *NStepLink) Forward(hx, cx *nn.Variable, xs []*nn.Variable) (hy, cy *nn.Variable, ys []*nn.Variable) {
	plan, err := l.plan(hx, cx, xs)
	if err != nil {
		f := l.failed(nn.From(tapeOf(xs), []float32{0}, 1), l.name(), err)
		return f, f, slices.Repeat([]*nn.Variable{f}, len(xs))
	}
	x := nn.Apply1(op.Concat{Axis: 0}, xs...)
	var hs, cs []*nn.Variable
	for layer := range l.layers {
		if layer > 0 && l.dropout > 0 && x.Tape().Training() {
			x = nn.Apply1(op.Dropout{Ratio: l.dropout}, x)
		}
		var sides []*nn.Variable
		for d := range l.directions {
			i := layer*l.directions + d
			h, c, y := l.run(i, plan, d == 1, plan.state(hx, i, l.units, x), plan.state(cx, i, l.units, x), x)
			hs, cs, sides = append(hs, h), append(cs, c), append(sides, y)
		}
		x = sides[0]
		if l.directions == 2 {
			x = nn.Apply1(op.Concat{Axis: 1}, sides...)
		}
	}
	hy = stack(hs)
	if l.cell.packed {
		cy = stack(cs)
	}
	return hy, cy, nn.Apply(op.Split{Axis: 0, Sizes: plan.lengths}, len(xs), x)
}

// plan checks the arguments and says how the sequences are read.
func (l *NStepLink) plan(hx, cx *nn.Variable, xs []*nn.Variable) (*plan, error) {
	if l.bad != nil {
		return nil, l.bad
	}
	p, err := newPlan(xs, l.in)
	if err == nil {
		err = l.checkState("hx", hx, len(xs))
	}
	if err == nil {
		err = l.checkState("cx", cx, len(xs))
	}
	return p, err
}

// name is that of the function that made the link.
func (l *NStepLink) name() string {
	name := "NStep"
	if l.directions == 2 {
		name += "Bi"
	}
	if l.cell.packed {
		return name + "LSTM"
	}
	return name + "GRU"
}

// checkState tells whether a state to begin with, which may be nil, fits.
func (l *NStepLink) checkState(name string, state *nn.Variable, sequences int) error {
	if state == nil {
		return nil
	}
	if err := state.Err(); err != nil {
		return err
	}
	if want := []int{l.layers * l.directions, sequences, l.units}; !slices.Equal(state.Shape(), want) {
		return nn.ShapeErrorf("%s is %s, want (layers*directions, sequences, units), here %s", name, state.Spec(), nn.FormatShape(want))
	}
	return nil
}

// run takes one layer in one direction over all sequences. x and y hold the
// sequences one after another; h and c are in plan's order and come back in
// that of the caller.
func (l *NStepLink) run(i int, plan *plan, backward bool, h, c, x *nn.Variable) (hy, cy, y *nn.Variable) {
	p, n := l.parts[i], l.cell.gates
	rows, back := plan.rows(backward)
	wx, bx := l.pack(p.w[:n], p.b[:n])
	wh, bh := l.pack(p.w[n:], p.b[n:])
	// All steps' products with x in one go; each step cuts off its own rows.
	gates := nn.Apply1(op.Linear{}, gather(x, rows), wx, bx)
	steps := nn.Apply(op.Split{Axis: 0, Sizes: plan.batches}, len(plan.batches), gates)
	outs := make([]*nn.Variable, len(steps))
	for t, xg := range steps {
		now, rest := splitRows(h, plan.batches[t])
		hg := nn.Apply1(op.Linear{}, now, wh, bh)
		if l.cell.packed {
			next := nn.Apply(op.LSTM{}, 2, c, nn.Apply1(op.Add{}, xg, hg))
			c, outs[t] = next[0], next[1]
		} else {
			outs[t] = nn.Apply1(op.GRU{}, now, xg, hg)
		}
		h = joinRows(outs[t], rest)
	}
	y = gather(nn.Apply1(op.Concat{Axis: 0}, outs...), back)
	return gather(h, plan.place), gather(c, plan.place), y
}

// pack puts the matrices of the gates together as the cell's operation wants
// them.
func (l *NStepLink) pack(w, b []*nn.Parameter) (packedW, packedB *nn.Variable) {
	in := w[0].Dim(1)
	ws, bs := make([]*nn.Variable, len(w)), make([]*nn.Variable, len(w))
	for k, from := range l.cell.order {
		ws[k], bs[k] = &w[from].Variable, &b[from].Variable
	}
	if !l.cell.packed {
		return nn.Apply1(op.Concat{Axis: 0}, ws...), nn.Apply1(op.Concat{Axis: 0}, bs...)
	}
	for k := range ws {
		ws[k] = nn.Apply1(op.Reshape{Shape: []int{l.units, 1, in}}, ws[k])
		bs[k] = nn.Apply1(op.Reshape{Shape: []int{l.units, 1}}, bs[k])
	}
	all := len(w) * l.units
	return nn.Apply1(op.Reshape{Shape: []int{all, in}}, nn.Apply1(op.Concat{Axis: 1}, ws...)),
		nn.Apply1(op.Reshape{Shape: []int{all}}, nn.Apply1(op.Concat{Axis: 1}, bs...))
}

// plan is how sequences of different lengths are read together: sorted by
// falling length, so that those still running at a step are the first rows.
type plan struct {
	lengths []int   // of the sequences, in the caller's order
	starts  []int   // where each begins among all rows
	sorted  []int   // the caller's index of each sorted sequence
	place   []int32 // the sorted position of each of the caller's sequences
	batches []int   // how many sequences are running at each step
}

func newPlan(xs []*nn.Variable, in int) (*plan, error) {
	if len(xs) == 0 {
		return nil, fmt.Errorf("%w: no sequences", nn.ErrValue)
	}
	p := &plan{place: make([]int32, len(xs))}
	total := 0
	for i, x := range xs {
		if err := x.Err(); err != nil {
			return nil, err
		}
		if len(x.Shape()) != 2 || x.Dim(1) != in {
			return nil, nn.ShapeErrorf("sequence %d is %s, want (length, %d)", i, x.Spec(), in)
		}
		p.lengths = append(p.lengths, x.Dim(0))
		p.starts = append(p.starts, total)
		p.sorted = append(p.sorted, i)
		total += x.Dim(0)
	}
	slices.SortStableFunc(p.sorted, func(a, b int) int { return p.lengths[b] - p.lengths[a] })
	for k, i := range p.sorted {
		p.place[i] = int32(k)
	}
	for t := range p.lengths[p.sorted[0]] {
		n := 0
		for n < len(p.sorted) && p.lengths[p.sorted[n]] > t {
			n++
		}
		p.batches = append(p.batches, n)
	}
	return p, nil
}

// rows lists which row of the sequences each step reads, step after step, and
// where in that list each row is found again.
func (p *plan) rows(backward bool) (rows, back []int32) {
	for t, n := range p.batches {
		for _, i := range p.sorted[:n] {
			at := p.starts[i] + t
			if backward {
				at = p.starts[i] + p.lengths[i] - 1 - t
			}
			rows = append(rows, int32(at))
		}
	}
	back = make([]int32, len(rows))
	for k, at := range rows {
		back[at] = int32(k)
	}
	return rows, back
}

// state gives the state that layer and direction i begin with, in the plan's
// order.
func (p *plan) state(states *nn.Variable, i, units int, like *nn.Variable) *nn.Variable {
	if states == nil {
		return zeros(like, len(p.lengths), units)
	}
	order := make([]int32, len(p.sorted))
	for k, from := range p.sorted {
		order[k] = int32(from)
	}
	one := nn.Apply1(op.Slice{Ranges: []op.Range{{From: i, Count: 1, Step: 1, Drop: true}}}, states)
	return gather(one, order)
}

// gather picks rows of a matrix; their gradients go back to where they came
// from.
func gather(x *nn.Variable, rows []int32) *nn.Variable {
	return nn.Apply1(op.Embed{}, nn.From(x.Tape(), rows, len(rows)), x)
}

// stack puts matrices of one shape into an array with a leading axis.
func stack(vars []*nn.Variable) *nn.Variable {
	joined := make([]*nn.Variable, len(vars))
	for i, v := range vars {
		joined[i] = nn.Apply1(op.Reshape{Shape: []int{1, v.Dim(0), v.Dim(1)}}, v)
	}
	return nn.Apply1(op.Concat{Axis: 0}, joined...)
}

func tapeOf(xs []*nn.Variable) *nn.Tape {
	for _, x := range xs {
		if x != nil && x.Tape() != nil {
			return x.Tape()
		}
	}
	return nil
}
