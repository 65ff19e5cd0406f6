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
)

// pointwise is a function of single elements that several steps make up, such as
// x*clip(x+3, 0, 6)/6. It goes over blocks, so that what lies between the steps stays
// in the first-level cache.
type pointwise struct {
	points []point
	names  []string
}

// point is a step: unary or binary, whichever isn't nil.
type point struct {
	unary   func(y, x []float32)
	binary  func(y, a, b []float32)
	a, b, y place
}

// place says where an operand is.
type place int

const (
	argument place = iota
	result
	temporary // the first of the temporary blocks
)

// pointBlock is the number of elements of a block.
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
		n := min(len(y), pointBlock)
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
// not v either.
func (b *builder) pointGroup(v, first int, inside bool) (g pointGroup, ok bool) {
	v = b.alias[v]
	made := map[int]bool{v: true}
	var steps []int
	until := b.lastUser(v)
	for i := first; i <= until && len(steps) < maxPoints; i++ {
		if s := b.trace.Steps[i]; b.live[i] && !b.member[i] && b.isPoint(s, made) {
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
// are made of v or numbers.
func (b *builder) isPoint(s graph.Step, made map[int]bool) bool {
	out := b.trace.Values[s.Out[0]].Spec
	if out.Dtype != tensor.Float32 {
		return false
	}
	if unaryFunc(s.Op) != nil {
		return made[b.alias[s.In[0]]]
	}
	if binaryFunc(s.Op) == nil {
		return false
	}
	some := false
	for _, v := range s.In {
		spec := b.trace.Values[v].Spec
		switch {
		case b.konst[v] != nil:
			if !isNumber(b.konst[v]) {
				return false
			}
		case !made[b.alias[v]] || !spec.Equal(out):
			return false
		default:
			some = true
		}
	}
	return some
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
	last := map[int]int{} // the last step that reads a value
	for _, n := range steps {
		for _, x := range b.trace.Steps[n].In {
			last[b.alias[x]] = n
		}
	}
	l := &pointwise{}
	at := map[int]place{v: argument}
	var free []place
	used := place(0)
	for i, n := range steps {
		s := b.trace.Steps[n]
		p := b.point(s, at)
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
		l.points, l.names = append(l.points, p), append(l.names, s.Op.Name())
	}
	if used > maxTemporaries {
		return nil
	}
	return l
}

// point is a step whose operands are at known places. A number becomes a part of the
// step.
func (b *builder) point(s graph.Step, at map[int]place) point {
	if f := unaryFunc(s.Op); f != nil {
		return point{unary: f, a: at[b.alias[s.In[0]]]}
	}
	f := binaryFunc(s.Op)
	for i, v := range s.In {
		if b.konst[v] != nil {
			number := b.number(nn.Floats(b.konst[v])[0])
			other := at[b.alias[s.In[1-i]]]
			if i == 0 {
				return point{unary: func(y, x []float32) { f(y, number[:len(y)], x) }, a: other}
			}
			return point{unary: func(y, x []float32) { f(y, x, number[:len(y)]) }, a: other}
		}
	}
	return point{binary: f, a: at[b.alias[s.In[0]]], b: at[b.alias[s.In[1]]]}
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
		if !b.isPoint(s, map[int]bool{b.alias[v]: true}) {
			return
		}
		g, ok := b.pointGroup(v, i, false)
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
	b.put(s, g.layer, b.like(id), 0, id)
}
