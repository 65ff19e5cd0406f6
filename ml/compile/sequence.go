package compile

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// The layers of networks that read sequences: a recurrent network is recorded
// step by step, and each step is a dense layer and a cell for all rows at once.

// constant gives every row the same elements, where a layer wants them for each.
type constant struct{ row []float32 }

func (l *constant) run(n int, _, out [][]float32) error {
	for i := range n {
		copy(out[0][i*len(l.row):], l.row)
	}
	return nil
}

func (l *constant) String() string { return "constant" }

// cut takes count adjacent elements of each row of size, such as one step of a
// sequence.
type cut struct{ size, from, count int }

func (l *cut) run(n int, in, out [][]float32) error {
	for i := range n {
		copy(out[0][i*l.count:(i+1)*l.count], in[0][i*l.size+l.from:])
	}
	return nil
}

func (l *cut) String() string { return fmt.Sprintf("elements %d to %d", l.from, l.from+l.count-1) }

// pick takes known rows of a matrix that each row of the batch has.
type pick struct {
	ids       []int32
	rows, dim int // of the matrix
	ignored   int32
}

func (l *pick) run(n int, in, out [][]float32) error {
	size, count := l.rows*l.dim, len(l.ids)*l.dim
	for i := range n {
		if err := kernel.Gather(out[0][i*count:(i+1)*count], in[0][i*size:(i+1)*size], l.rows, l.dim, l.ids, l.ignored); err != nil {
			return err
		}
	}
	return nil
}

func (l *pick) String() string { return fmt.Sprintf("pick %d of %d", len(l.ids), l.rows) }

// take takes known elements of an axis.
type take struct {
	outer, size, inner int // elements before, of and behind the axis, for each row
	index              []int32
}

func (l *take) run(n int, in, out [][]float32) error {
	op.Pick(out[0], in[0], n*l.outer, l.size, l.inner, l.index)
	return nil
}

func (l *take) String() string { return fmt.Sprintf("take %d of %d", len(l.index), l.size) }

// lookup turns numbers into rows of a table.
type lookup struct {
	table     []float32
	rows, dim int
	site      string
}

func (l *lookup) run(_ int, in, out [][]float32) error {
	if err := kernel.Lookup(out[0], l.table, l.rows, l.dim, in[0]); err != nil {
		return stepError(op.Lookup{}, l.site, nn.ValueErrorf("%v", err))
	}
	return nil
}

func (l *lookup) String() string { return fmt.Sprintf("lookup %dx%d", l.rows, l.dim) }

// embed is a table of words, whose ids are whole numbers.
type embed struct {
	op        op.Embed
	table     []float32
	rows, dim int
	site      string
}

func (l *embed) run(_ int, in, out [][]float32) error {
	for i, v := range in[0] {
		row, id := out[0][i*l.dim:(i+1)*l.dim], int(v)
		switch {
		case l.op.HasIgnore && v == float32(l.op.Ignore):
			clear(row)
		case float32(id) != v || id < 0 || id >= l.rows: // a NaN is not equal
			return stepError(l.op, l.site, nn.ValueErrorf("id %v, want 0..%d", v, l.rows-1))
		default:
			copy(row, l.table[id*l.dim:])
		}
	}
	return nil
}

func (l *embed) String() string { return fmt.Sprintf("embed %dx%d", l.rows, l.dim) }

// lstm is an LSTM's cell for running vectors of each row; the states of those
// beyond belong to sequences that have ended and pass through. Without a second
// input the state before is zero.
type lstm struct{ running, states, units int }

func (l *lstm) run(n int, in, out [][]float32) error {
	if l.running == l.states {
		var before []float32
		if len(in) > 1 {
			before = in[1]
		}
		kernel.LSTM(out[0], out[1], nil, in[0], before, n*l.running, l.units)
		return nil
	}
	m, k := l.running*l.units, l.states*l.units
	for i := range n {
		c, h, x := out[0][i*k:(i+1)*k], out[1][i*m:(i+1)*m], in[0][i*4*m:(i+1)*4*m]
		var before []float32
		if len(in) > 1 {
			before = in[1][i*k : (i+1)*k]
			copy(c[m:], before[m:])
		} else {
			clear(c[m:])
		}
		kernel.LSTM(c, h, nil, x, before, l.running, l.units)
	}
	return nil
}

func (l *lstm) String() string { return fmt.Sprintf("LSTM cell %d", l.units) }

// gru is a GRU's cell.
type gru struct{ rows, units int }

func (l *gru) run(n int, in, out [][]float32) error {
	kernel.GRU(out[0], nil, in[0], in[1], in[2], n*l.rows, l.units)
	return nil
}

func (l *gru) String() string { return fmt.Sprintf("GRU cell %d", l.units) }

// operand returns a value of the trace in the program, where a constant becomes a
// value too.
func (b *builder) operand(v int) int {
	if id := b.low[b.alias[v]]; id >= 0 {
		return b.nchw(id)
	}
	row := slices.Clone(nn.Floats(b.konst[v]))
	b.weights += 4 * len(row)
	id := b.define(v, value{})
	b.instrs = append(b.instrs, instr{&constant{row}, nil, []int{id}, -1})
	return id
}

// lowerSlice emits a step that takes adjacent elements.
func (b *builder) lowerSlice(s graph.Step, o op.Slice) bool {
	spec := b.trace.Values[s.In[0]].Spec
	from, count, ok := adjacent(spec.Shape, o.Ranges)
	if !ok {
		return false
	}
	b.put(s, &cut{spec.Size(), from, count}, value{}, -1, b.nchw(b.low[b.alias[s.In[0]]]))
	return true
}

// adjacent tells whether what the ranges select lies side by side: after the first
// axis of which more than one element is taken, all are.
func adjacent(shape []int, ranges []op.Range) (from, count int, ok bool) {
	count = 1
	for i, d := range shape {
		r := op.Range{Count: d, Step: 1}
		if i < len(ranges) {
			r = ranges[i]
		}
		whole := r.Count == d && r.From == 0 && r.Step == 1
		if count > 1 && !whole || r.Count > 1 && r.Step != 1 {
			return 0, 0, false
		}
		from, count = from*d+r.From, count*r.Count
	}
	return from, count, true
}

// lowerSplit emits a step that cuts rows into adjacent parts; parts that nobody
// reads cost nothing.
func (b *builder) lowerSplit(s graph.Step, o op.Split) bool {
	spec := b.trace.Values[s.In[0]].Spec
	axis := o.Axis
	if axis < 0 {
		axis += len(spec.Shape)
	}
	if size(spec.Shape[:axis]) != 1 {
		return false
	}
	if axis == 1 && b.keptNHWC(s.In[0]) {
		from := 0
		for _, v := range s.Out {
			count := b.trace.Values[v].Spec.Shape[1]
			if b.wanted(v) {
				b.putChannels(s.In[0], v, from, count)
			}
			from += count
		}
		return true
	}
	id, from := b.nchw(b.low[b.alias[s.In[0]]]), 0
	for _, v := range s.Out {
		count := b.trace.Values[v].Spec.Size()
		if b.wanted(v) {
			b.instrs = append(b.instrs, instr{&cut{spec.Size(), from, count}, []int{id}, []int{b.define(v, value{})}, -1})
		}
		from += count
	}
	return true
}

// wanted tells whether anybody reads a value of the trace.
func (b *builder) wanted(v int) bool {
	return len(b.users[v]) > 0 || b.alias[b.trace.Outputs[0]] == v
}

// lowerTake emits a choice of elements along an axis.
func (b *builder) lowerTake(s graph.Step, o op.Take) {
	x := b.trace.Values[s.In[0]].Spec.Shape
	axis := o.Axis
	if axis < 0 {
		axis += len(x)
	}
	id := b.low[b.alias[s.In[0]]]
	if axis >= 2 && len(x) == 4 && b.values[id].nhwc {
		id = b.nhwc(s.In[0])
		out := value{images: x[0], c: x[1], h: len(o.Index), w: x[3], nhwc: true}
		l := &take{x[0], x[2], x[3] * x[1], o.Index}
		if axis == 3 {
			out.h, out.w = x[2], len(o.Index)
			l = &take{x[0] * x[2], x[3], x[1], o.Index}
		}
		b.put(s, l, out, -1, id)
		return
	}
	l := &take{size(x[:axis]), x[axis], size(x[axis+1:]), o.Index}
	b.put(s, l, value{}, -1, b.nchw(id))
}

// lowerPick emits a lookup of known rows in what was computed.
func (b *builder) lowerPick(s graph.Step, o op.Embed) bool {
	ids, x := b.konst[s.In[0]], b.trace.Values[s.In[1]].Spec.Shape
	if ids == nil && b.konst[s.In[1]] != nil {
		return b.lowerEmbed(s, o)
	}
	if nn.Ints(ids) == nil || b.konst[s.In[1]] != nil {
		return false
	}
	l := &pick{ids: slices.Clone(nn.Ints(ids)), rows: x[0], dim: x[1], ignored: o.Ignored()}
	b.put(s, l, value{}, -1, b.nchw(b.low[b.alias[s.In[1]]]))
	return true
}

// lowerEmbed emits the embedding of the words of a row.
func (b *builder) lowerEmbed(s graph.Step, o op.Embed) bool {
	if b.trace.Values[s.In[0]].Spec.Dtype != tensor.Float32 {
		return false
	}
	w := b.konst[s.In[1]]
	l := &embed{o, slices.Clone(nn.Floats(w)), w.Shape()[0], w.Shape()[1], s.Site}
	b.weights += 4 * len(l.table)
	b.put(s, l, value{}, -1, b.nchw(b.low[b.alias[s.In[0]]]))
	return true
}

// lowerLookup emits a lookup in a constant table.
func (b *builder) lowerLookup(s graph.Step) bool {
	w := b.konst[s.In[1]]
	if w == nil || b.konst[s.In[0]] != nil {
		return false
	}
	table := slices.Clone(nn.Floats(w))
	b.weights += 4 * len(table)
	l := &lookup{table, w.Shape()[0], size(w.Shape()[1:]), s.Site}
	b.put(s, l, value{}, -1, b.nchw(b.low[b.alias[s.In[0]]]))
	return true
}

// lowerLSTM emits a cell. States that begin with zeros aren't kept.
func (b *builder) lowerLSTM(s graph.Step) {
	c, x := b.trace.Values[s.In[0]].Spec.Shape, b.trace.Values[s.In[1]].Spec.Shape
	in, share := []int{b.operand(s.In[1])}, -1
	if k := b.konst[s.In[0]]; k == nil || slices.ContainsFunc(nn.Floats(k), func(v float32) bool { return v != 0 }) {
		in, share = append(in, b.operand(s.In[0])), 1
	}
	out := []int{b.define(s.Out[0], value{}), b.define(s.Out[1], value{})}
	b.instrs = append(b.instrs, instr{&lstm{x[0], c[0], c[1]}, in, out, share})
}

// lowerGRU emits a cell.
func (b *builder) lowerGRU(s graph.Step) {
	h := b.trace.Values[s.In[0]].Spec.Shape
	b.put(s, &gru{h[0], h[1]}, value{}, 2, b.operand(s.In[1]), b.operand(s.In[2]), b.operand(s.In[0]))
}
