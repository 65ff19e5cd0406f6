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

// lower turns the trace's steps into instructions.
func (b *builder) lower() error {
	b.findTables()
	in := b.trace.Inputs[0]
	b.define(in, value{})
	for i, s := range b.trace.Steps {
		if !b.live[i] {
			continue
		}
		if !b.member[i] {
			_, ok, err := b.fuse(i)
			if err != nil {
				return stepError(s.Op, s.Site, err)
			}
			if !ok {
				b.fusePoints(i)
			}
		}
		if g, ok := b.pointGroups[i]; ok {
			b.emitPoints(g, s)
			continue
		}
		if f, ok := b.groups[i]; ok {
			if err := b.emit(f); err != nil {
				return err
			}
			continue
		}
		if b.member[i] || b.lowerStep(s) {
			continue
		}
		if err := b.lowerGeneric(s); err != nil {
			return stepError(s.Op, s.Site, err)
		}
	}
	return nil
}

// finish lays out the memory and makes the model.
func (b *builder) finish() (*Model, error) {
	out := b.alias[b.trace.Outputs[0]]
	if b.low[out] < 0 {
		return nil, fmt.Errorf("%w: its output does not depend on its input", ErrForward)
	}
	output := b.nchw(b.low[out])
	m := &Model{
		in:     rowShape(b.trace.Values[b.trace.Inputs[0]].Spec.Shape),
		out:    rowShape(b.trace.Values[b.trace.Outputs[0]].Spec.Shape),
		values: b.values, instrs: b.instrs, tail: split(b.instrs, b.values),
		input: b.low[b.trace.Inputs[0]], output: output, weights: b.weights,
	}
	for _, in := range m.instrs {
		if s, ok := in.layer.(stateful); ok {
			m.plan.own += s.floats()
		}
	}
	m.place()
	return m, nil
}

// define gives a value of the trace its place in the program. Images whose two
// layouts coincide are not marked as NHWC.
func (b *builder) define(v int, val value) int {
	spec := b.trace.Values[v].Spec
	val.shape, val.size = rowShape(spec.Shape), spec.Size()
	if val.c == 1 || val.h*val.w == 1 {
		val.nhwc = false
	}
	b.low[b.alias[v]] = len(b.values)
	b.values = append(b.values, val)
	return len(b.values) - 1
}

// nchw returns a value of the program in the order in which the network sees it.
func (b *builder) nchw(id int) int {
	v := b.values[id]
	if !v.nhwc {
		return id
	}
	return b.convert(id, value{shape: v.shape, size: v.size}, &relayout{v.images, v.c, v.h, v.w, true})
}

// nhwc returns a value of the trace, images by its shape, in NHWC order.
func (b *builder) nhwc(v int) int {
	s := b.trace.Values[v].Spec.Shape
	id := b.low[b.alias[v]]
	val := b.values[id]
	if val.nhwc && val.images == s[0] && val.c == s[1] && val.h*val.w == s[2]*s[3] {
		return id
	}
	id = b.nchw(id)
	if s[1] == 1 || s[2]*s[3] == 1 {
		return id
	}
	to := value{shape: rowShape(s), size: val.size, images: s[0], c: s[1], h: s[2], w: s[3], nhwc: true}
	return b.convert(id, to, &relayout{s[0], s[1], s[2], s[3], false})
}

// keptNHWC tells whether a value of the trace, images by its shape, is kept NHWC.
func (b *builder) keptNHWC(v int) bool {
	return len(b.trace.Values[v].Spec.Shape) == 4 && b.values[b.low[b.alias[v]]].nhwc
}

// conversion names a value in another layout.
type conversion struct {
	id              int
	images, c, h, w int
	toNCHW          bool
}

// convert emits a change of layout, once.
func (b *builder) convert(id int, to value, l *relayout) int {
	key := conversion{id, l.images, l.c, l.h, l.w, l.toNCHW}
	if v, ok := b.other[key]; ok {
		return v
	}
	b.values = append(b.values, to)
	v := len(b.values) - 1
	b.instrs = append(b.instrs, instr{l, []int{id}, []int{v}, -1})
	b.other[key] = v
	return v
}

// lowerStep emits a step that has a layer of its own and no part in a fusion.
func (b *builder) lowerStep(s graph.Step) bool {
	spec := b.trace.Values[s.In[0]].Spec
	if b.konst[s.In[0]] == nil && spec.Dtype == tensor.Float32 {
		if f := unaryFunc(s.Op); f != nil {
			id := b.low[b.alias[s.In[0]]]
			b.put(s, &unary{s.Op.Name(), f}, b.like(id), 0, id)
			return true
		}
	}
	if f := binaryFunc(s.Op); f != nil {
		return b.lowerBinary(s, f) || b.lowerBroadcast(s, f)
	}
	switch o := s.Op.(type) {
	case op.MaxPool2D:
		return b.lowerPool(s, o.Shape(spec.Shape), false)
	case op.AvgPool2D:
		return b.lowerPool(s, o.Shape(spec.Shape), true)
	case op.Mean:
		return b.lowerMean(s, o) || b.lowerSums(s, o.Axes, true)
	case op.Sum:
		return b.lowerSums(s, o.Axes, false)
	case op.Softmax:
		b.lowerSoftmax(s, o.Axis, false)
		return true
	case op.LogSoftmax:
		b.lowerSoftmax(s, o.Axis, true)
		return true
	case op.Concat:
		return b.lowerConcat(s, o)
	case op.Transpose:
		return b.lowerShuffle(s, o) || b.lowerAxes(s, o)
	case op.FixedBatchNorm:
		return b.lowerNorm(s, o)
	case op.LocalResponseNorm:
		return b.lowerResponse(s, o)
	case op.PReLU:
		return b.lowerSlopes(s)
	case op.Slice:
		return b.lowerSlice(s, o)
	case op.Split:
		return b.lowerSplit(s, o)
	case op.Take:
		b.lowerTake(s, o)
		return true
	case op.Embed:
		return b.lowerPick(s, o)
	case op.Lookup:
		return b.lowerLookup(s)
	case op.LSTM:
		b.lowerLSTM(s)
		return true
	case op.GRU:
		b.lowerGRU(s)
		return true
	}
	return false
}

// put emits an instruction that writes the step's output.
func (b *builder) put(s graph.Step, l layer, out value, share int, in ...int) {
	b.instrs = append(b.instrs, instr{l, in, []int{b.define(s.Out[0], out)}, share})
}

// like is a value of the same layout as another.
func (b *builder) like(id int) value {
	v := b.values[id]
	return value{images: v.images, c: v.c, h: v.h, w: v.w, nhwc: v.nhwc}
}

func (b *builder) lowerBinary(s graph.Step, f func(y, a, c []float32)) bool {
	x, y := s.In[0], s.In[1]
	sx, sy, out := b.trace.Values[x].Spec, b.trace.Values[y].Spec, b.trace.Values[s.Out[0]].Spec
	if b.konst[x] != nil || b.konst[y] != nil {
		return b.lowerConstant(s, f, b.konst[x] != nil)
	}
	if !sx.Equal(sy) || !sx.Equal(out) {
		return b.lowerPerChannel(s, f)
	}
	i, j := b.low[b.alias[x]], b.low[b.alias[y]]
	if b.values[i].nhwc || b.values[j].nhwc {
		switch u, v := b.values[i], b.values[j]; {
		case len(sx.Shape) == 4:
			i, j = b.nhwc(x), b.nhwc(y)
		case !u.nhwc || !v.nhwc || u.images != v.images || u.c != v.c:
			i, j = b.nchw(i), b.nchw(j)
		}
	}
	b.put(s, &binary{s.Op.Name(), f}, b.like(i), 0, i, j)
	return true
}

// lowerConstant emits an elementwise step one of whose operands is a constant
// that broadcasts to a row.
func (b *builder) lowerConstant(s graph.Step, f func(y, a, c []float32), left bool) bool {
	x, k := s.In[0], s.In[1]
	if left {
		x, k = k, x
	}
	spec := b.trace.Values[x].Spec
	if !spec.Equal(b.trace.Values[s.Out[0]].Spec) {
		return false
	}
	c, err := nn.NewCall(op.BroadcastTo{Shape: spec.Shape}, nil, b.konst[k])
	if err != nil || c.Op.Forward(c) != nil {
		return false
	}
	row := c.Y(0)
	id := b.low[b.alias[x]]
	if v := b.values[id]; v.nhwc {
		moved := make([]float32, len(row))
		kernel.ToNHWC(moved, row, v.images, v.c, v.h, v.w)
		row = shortened(moved, v.c)
	}
	b.put(s, &withConstant{binary{s.Op.Name(), f}, row, spec.Size(), left}, b.like(id), 0, id)
	b.weights += 4 * len(row)
	return true
}

func (b *builder) lowerPool(s graph.Step, shape kernel.PoolShape, average bool) bool {
	out := value{images: shape.N, c: shape.C, h: shape.OutH(), w: shape.OutW(), nhwc: true}
	b.put(s, &pool2D{shape, average, shape.C, shape.C}, out, -1, b.nhwc(s.In[0]))
	return true
}

// lowerMean makes the mean over the pixels of images an average pooling.
func (b *builder) lowerMean(s graph.Step, o op.Mean) bool {
	x := b.trace.Values[s.In[0]].Spec.Shape
	if len(x) != 4 || len(o.Over) != 2 {
		return false
	}
	over := []int{(o.Over[0] + 4) % 4, (o.Over[1] + 4) % 4}
	slices.Sort(over)
	if over[0] != 2 || over[1] != 3 {
		return false
	}
	shape := kernel.PoolShape{N: x[0], C: x[1], H: x[2], W: x[3], KH: x[2], KW: x[3], StrideH: 1, StrideW: 1}
	b.put(s, &pool2D{shape, true, shape.C, shape.C}, value{}, -1, b.nhwc(s.In[0]))
	return true
}

func (b *builder) lowerSoftmax(s graph.Step, axis int, log bool) {
	x := b.trace.Values[s.In[0]].Spec.Shape
	if axis < 0 {
		axis += len(x)
	}
	l := &softmax{size(x[:axis]), x[axis], size(x[axis+1:]), log}
	b.put(s, l, value{}, 0, b.nchw(b.low[b.alias[s.In[0]]]))
}

// lowerConcat joins images along their channels without a change of layout.
func (b *builder) lowerConcat(s graph.Step, o op.Concat) bool {
	out := b.trace.Values[s.Out[0]].Spec
	axis := o.Axis
	if axis < 0 {
		axis += len(out.Shape)
	}
	images := false
	for _, v := range s.In {
		if b.konst[v] != nil || out.Dtype != tensor.Float32 {
			return false
		}
		images = images || axis == 1 && b.keptNHWC(v)
	}
	l, val := &concat{outer: size(out.Shape[:axis])}, value{}
	in := make([]int, len(s.In))
	for i, v := range s.In {
		x := b.trace.Values[v].Spec.Shape
		if images {
			in[i], l.sizes = b.nhwc(v), append(l.sizes, x[1])
		} else {
			in[i], l.sizes = b.nchw(b.low[b.alias[v]]), append(l.sizes, size(x[axis:]))
		}
	}
	if images {
		l.outer = out.Shape[0] * out.Shape[2] * out.Shape[3]
		val = value{images: out.Shape[0], c: out.Shape[1], h: out.Shape[2], w: out.Shape[3], nhwc: true}
	}
	l.ldx, l.placed = slices.Clone(l.sizes), make([]bool, len(in))
	for _, k := range l.sizes {
		l.ldy += k
	}
	b.put(s, l, val, -1, in...)
	return true
}

// lowerNorm emits a batch normalisation that no layer could take in.
func (b *builder) lowerNorm(s graph.Step, o op.FixedBatchNorm) bool {
	var c [4][]float32
	for i := range c {
		a := b.konst[s.In[i+1]]
		if a == nil || len(a.Shape()) != 1 {
			return false
		}
		c[i] = slices.Clone(nn.Floats(a))
	}
	x := b.trace.Values[s.In[0]].Spec.Shape
	l := &batchNorm{c[0], c[1], c[2], c[3], o.Eps, x[0], size(x[2:])}
	id := b.low[b.alias[s.In[0]]]
	if v := b.values[id]; v.nhwc && len(x) == 4 {
		id = b.nhwc(s.In[0])
		l.outer, l.inner = x[0]*x[2]*x[3], 1
	} else {
		id = b.nchw(id)
	}
	b.put(s, l, b.like(id), 0, id)
	b.weights += 16 * len(c[0])
	return true
}

// lowerGeneric emits a step that runs row by row.
func (b *builder) lowerGeneric(s graph.Step) error {
	l := &generic{op: s.Op, site: s.Site}
	var in, out []int
	for _, v := range s.In {
		spec := b.trace.Values[v].Spec
		l.spec = append(l.spec, spec)
		if k := b.konst[v]; k != nil {
			l.in = append(l.in, k.Clone().(*tensor.Dense)) // the network may go on training
			b.weights += 4 * spec.Size()
			continue
		}
		l.in = append(l.in, nil)
		if spec.Dtype != tensor.Float32 {
			return fmt.Errorf("%w: it computes with %s, only constants may be other than float32", ErrForward, spec)
		}
		in = append(in, b.nchw(b.low[b.alias[v]]))
		l.size += spec.Size()
	}
	for _, v := range s.Out {
		spec := b.trace.Values[v].Spec
		if spec.Dtype != tensor.Float32 {
			return fmt.Errorf("%w: its result is %s; end the network before it and finish in the program", ErrForward, spec)
		}
		out = append(out, b.define(v, value{}))
		l.size += spec.Size()
	}
	b.instrs = append(b.instrs, instr{l, in, out, -1})
	return nil
}
