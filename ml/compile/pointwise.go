package compile

import (
	"math"
	"slices"
	"strings"
	"sync"

	"gorgonia.org/tensor"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// pointwise is a function of single elements that several steps make up, such as
// x*clip(x+3, 0, 6)/6, or of the elements of NHWC images and numbers for each channel.
// It goes over blocks, so that what lies between the steps stays in the first-level
// cache; those of images hold whole pixels.
type pointwise struct {
	points   []point
	names    []string
	block    int  // elements
	channels bool // there are numbers for each channel
}

// point is a step: unary or binary, whichever isn't nil.
type point struct {
	unary   func(y, x []float32)
	binary  func(y, a, b []float32)
	a, b, y place // b is a for a unary one
}

// place says where an operand is.
type place int

const (
	argument place = iota
	result
	temporary // the first of the temporary blocks
)

// pointBlock is the number of elements of a block at most.
const pointBlock = 1024

// maxTemporaries bounds the temporary blocks, maxPoints the steps.
const (
	maxTemporaries = 4
	maxPoints      = 24
)

// blocks holds temporary blocks.
var blocks = sync.Pool{New: func() any { return new([maxTemporaries * pointBlock]float32) }}

// apply computes y = f(x); both may be the same slice.
func (l *pointwise) apply(y, x []float32) {
	temps := blocks.Get().(*[maxTemporaries * pointBlock]float32)
	defer blocks.Put(temps)
	for len(y) > 0 {
		n := min(len(y), l.block)
		for _, p := range l.points {
			to := p.y.of(temps[:], x[:n], y[:n])
			a := p.a.of(temps[:], x[:n], y[:n])
			if p.unary != nil {
				p.unary(to, a)
			} else {
				p.binary(to, a, p.b.of(temps[:], x[:n], y[:n]))
			}
		}
		x, y = x[n:], y[n:]
	}
}

func (p place) of(temps, x, y []float32) []float32 {
	switch p {
	case argument:
		return x
	case result:
		return y
	}
	return temps[(p-temporary)*pointBlock:][:len(y)]
}

func (l *pointwise) run(_ int, in, out [][]float32) error { l.apply(out[0], in[0]); return nil }
func (l *pointwise) String() string                       { return strings.Join(l.names, ", ") }

// pointGroup is a function of a value's elements that is emitted at its last step.
type pointGroup struct {
	layer *pointwise
	x     int // a value of the trace
	steps []int
}

// pointGroup finds the largest function of value v, of its trace, that steps from
// number first on make up. Nobody else reads what lies between, and if inside is set
// not v either. The memory of v is laid out as images, if it is any.
func (b *builder) pointGroup(v, first int, inside bool, images nn.Spec) (g pointGroup, ok bool) {
	v = b.alias[v]
	made := map[int]bool{v: true}
	var steps []int
	until := b.lastUser(v)
	for i := first; i <= until && len(steps) < maxPoints; i++ {
		if s := b.trace.Steps[i]; b.live[i] && !b.member[i] && b.isPoint(s, images, made) {
			steps = append(steps, i)
			made[b.alias[s.Out[0]]] = true
			until = max(until, b.lastUser(s.Out[0]))
		}
	}
	for k := len(steps) - 1; k >= 0; k-- {
		part := b.needed(steps[:k+1])
		if (inside || part[0] == first) && b.keepsInside(v, part, inside) {
			if layer := b.points(v, part); layer != nil {
				return pointGroup{layer, v, part}, true
			}
		}
	}
	return g, false
}

// lastUser is the last step that reads a value, -1 for none.
func (b *builder) lastUser(v int) int {
	users := b.users[b.alias[v]]
	if len(users) == 0 {
		return -1
	}
	return users[len(users)-1]
}

// isPoint tells whether a step computes each element from one of each operand, which
// are made already, numbers, or numbers for each channel of the images.
func (b *builder) isPoint(s graph.Step, images nn.Spec, made map[int]bool) bool {
	out := b.trace.Values[s.Out[0]].Spec
	if out.Dtype != tensor.Float32 {
		return false
	}
	if _, ok := s.Op.(op.FixedBatchNorm); ok {
		for _, x := range s.In[1:] {
			if !isRow(b.konst[x], out) {
				return false
			}
		}
		return made[b.alias[s.In[0]]] && hasChannels(images, out)
	}
	if unaryFunc(s.Op) != nil {
		return made[b.alias[s.In[0]]]
	}
	if binaryFunc(s.Op) == nil {
		return false
	}
	some := false
	for _, x := range s.In {
		spec := b.trace.Values[x].Spec
		switch {
		case b.konst[x] != nil:
			if !isNumber(b.konst[x]) && !(isChannels(b.konst[x], out) && hasChannels(images, out)) {
				return false
			}
		case !made[b.alias[x]] || !spec.Equal(out):
			return false
		default:
			some = true
		}
	}
	return some
}

// hasChannels tells whether out is the images, blocks of which hold whole pixels.
func hasChannels(images, out nn.Spec) bool {
	return len(out.Shape) == 4 && out.Shape[1] <= pointBlock && out.Equal(images)
}

// isChannels tells whether a constant, which broadcasts to images, has a number for
// each of their channels.
func isChannels(c *tensor.Dense, images nn.Spec) bool {
	if c == nil || c.Dtype() != tensor.Float32 || len(images.Shape) != 4 {
		return false
	}
	shape, channels := c.Shape(), images.Shape[1]
	return len(shape) > 2 && shape[len(shape)-3] == channels && shape.TotalSize() == channels
}

// isRow is isChannels for a constant that has no other axis.
func isRow(c *tensor.Dense, images nn.Spec) bool {
	return c != nil && c.Dtype() == tensor.Float32 && len(c.Shape()) == 1 && len(images.Shape) > 1 && c.Shape()[0] == images.Shape[1]
}

// needed are the steps that the last one needs, itself included.
func (b *builder) needed(steps []int) []int {
	want := map[int]bool{}
	var out []int
	for i, n := range slices.Backward(steps) {
		s := b.trace.Steps[n]
		if i < len(steps)-1 && !want[b.alias[s.Out[0]]] {
			continue
		}
		for _, v := range s.In {
			want[b.alias[v]] = true
		}
		out = append(out, n)
	}
	slices.Reverse(out)
	return out
}

// keepsInside tells whether only the steps themselves read what they make, but for the
// last one's result.
func (b *builder) keepsInside(v int, steps []int, inside bool) bool {
	private := func(v int) bool {
		v = b.alias[v]
		for _, user := range b.users[v] {
			if !slices.Contains(steps, user) {
				return false
			}
		}
		return b.alias[b.trace.Outputs[0]] != v
	}
	for _, n := range steps[:len(steps)-1] {
		if !private(b.trace.Steps[n].Out[0]) {
			return false
		}
	}
	return !inside || private(v)
}

// points makes the function, nil if it takes too many temporary blocks.
func (b *builder) points(v int, steps []int) *pointwise {
	points, ok := b.places(v, steps)
	if !ok {
		return nil
	}
	l := &pointwise{points: points, block: pointBlock}
	for i, n := range steps {
		s := b.trace.Steps[n]
		if channels := b.point(s, &points[i]); channels > 0 {
			l.channels, l.block = true, pointBlock/channels*channels
		}
		l.names = append(l.names, s.Op.Name())
	}
	return l
}

// places says where the steps' operands and results are, and whether the temporary
// blocks are enough.
func (b *builder) places(v int, steps []int) (points []point, ok bool) {
	last := map[int]int{} // the last step that reads a value
	for _, n := range steps {
		for _, x := range b.trace.Steps[n].In {
			last[b.alias[x]] = n
		}
	}
	at := map[int]place{v: argument}
	var free []place
	used := place(0)
	for i, n := range steps {
		s := b.trace.Steps[n]
		var in []place
		for _, x := range s.In {
			if b.konst[x] == nil {
				in = append(in, at[b.alias[x]])
			}
		}
		p := point{a: in[0], b: in[len(in)-1]}
		for _, x := range s.In {
			x = b.alias[x]
			if where, ok := at[x]; ok && where >= temporary && last[x] == n {
				free = append(free, where)
				delete(at, x)
			}
		}
		switch {
		case i == len(steps)-1:
			p.y = result
		case len(free) > 0:
			p.y, free = free[len(free)-1], free[:len(free)-1]
		default:
			p.y = temporary + used
			used++
		}
		at[b.alias[s.Out[0]]] = p.y
		points = append(points, p)
	}
	return points, used <= maxTemporaries
}

// point gives p, whose operands have their places, its function. A constant becomes a
// part of it; channels is how many it has numbers for, 0 if it is one for all.
func (b *builder) point(s graph.Step, p *point) (channels int) {
	if o, ok := s.Op.(op.FixedBatchNorm); ok {
		scale, shift := b.normalisation(s.In, o.Eps)
		p.unary = func(y, x []float32) {
			kernel.Mul(y, x, scale[:len(y)])
			kernel.Add(y, y, shift[:len(y)])
		}
		return b.trace.Values[s.In[0]].Spec.Shape[1]
	}
	if p.unary = unaryFunc(s.Op); p.unary != nil {
		return 0
	}
	f := binaryFunc(s.Op)
	for i, v := range s.In {
		c := b.konst[v]
		if c == nil {
			continue
		}
		var block []float32
		if isNumber(c) {
			block = b.number(nn.Floats(c)[0])
		} else {
			channels, block = c.Shape().TotalSize(), b.channelBlock(nn.Floats(c))
		}
		if i == 0 {
			p.unary = func(y, x []float32) { f(y, block[:len(y)], x) }
		} else {
			p.unary = func(y, x []float32) { f(y, x, block[:len(y)]) }
		}
		return channels
	}
	p.binary = f
	return 0
}

// normalisation makes blocks of what a batch normalisation multiplies by and adds.
func (b *builder) normalisation(in []int, eps float32) (scale, shift []float32) {
	n := b.konst[in[1]].Shape().TotalSize()
	scale, shift = make([]float32, n), make([]float32, n)
	kernel.Fill(scale, 1)
	var c [4][]float32
	for i := range c {
		c[i] = nn.Floats(b.konst[in[i+1]])
	}
	kernel.FoldBatchNorm(scale, shift, c[0], c[1], c[2], c[3], eps)
	return b.channelBlock(scale), b.channelBlock(shift)
}

// channelBlock is a block of numbers for each channel.
func (b *builder) channelBlock(row []float32) []float32 {
	block := repeatedRow(row)
	b.weights += 4 * len(block)
	return block
}

// number is a block of one number.
func (b *builder) number(v float32) []float32 {
	bits := math.Float32bits(v) // a map takes zeros of both signs for one
	if block, ok := b.numbers[bits]; ok {
		return block
	}
	block := make([]float32, pointBlock)
	kernel.Fill(block, v)
	b.numbers[bits] = block
	b.weights += 4 * len(block)
	return block
}

// fusePoints starts at step i. It leaves single functions of one operand to lowerStep.
func (b *builder) fusePoints(i int) {
	s := b.trace.Steps[i]
	for _, v := range s.In {
		if b.konst[v] != nil {
			continue
		}
		images := b.trace.Values[b.alias[v]].Spec
		if !b.isPoint(s, images, map[int]bool{b.alias[v]: true}) {
			return
		}
		g, ok := b.pointGroup(v, i, false, images)
		if !ok || len(g.steps) == 1 && unaryFunc(s.Op) != nil {
			return
		}
		for _, n := range g.steps {
			b.member[n] = true
		}
		b.pointGroups[g.steps[len(g.steps)-1]] = g
		return
	}
}

// emitPoints makes the function's instruction at its last step.
func (b *builder) emitPoints(g pointGroup, s graph.Step) {
	id := b.low[g.x]
	if g.layer.channels {
		id = b.nhwc(g.x)
	}
	b.put(s, g.layer, b.like(id), 0, id)
}
