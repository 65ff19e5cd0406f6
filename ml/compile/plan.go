package compile

import "slices"

// value is an array of the program: size floats for each row.
type value struct {
	shape []int // of a row, as the network sees it
	size  int

	images, c, h, w int  // as images, 0 if they aren't known to be any
	nhwc            bool // kept as images with their channels innermost

	stage int // whose chunk's rows it is kept for
	slot  int // index into the stage's
	at    int // of the first element in a row of the slot
	step  int // from a row of the slot to the next
}

// instr applies a layer to values.
type instr struct {
	layer layer
	in    []int
	out   []int
	// share is the input whose memory out[0] may take when nobody reads it
	// later, -1 if none: the layer then works in place.
	share int
}

// plan is the layout of a worker's memory. Values whose lives don't overlap share
// a slot.
type plan struct {
	stages []stage // one after the other; the last one runs for all rows
	own    int     // floats of stateful layers
}

// stage is a part of a program. Its instructions run for a chunk of rows, a stage with
// more of them in a chunk once the one before has made these.
type stage struct {
	until int   // the instruction behind its last one
	rows  int   // of a chunk
	slots []int // floats for a row of each slot
}

// chunkBytes bounds what a chunk's values take, so that they stay in a core's
// cache from layer to layer.
const chunkBytes = 256 << 10

// What is small beside its weights, as the images at the end of a large network are,
// runs in larger chunks, so that the weights are read less often: values of up to
// smallRow bytes a row, of up to largeChunk a chunk, if that leaves largeWeights.
const (
	smallRow     = 1 << 20
	largeChunk   = 4 << 20
	largeWeights = 4 << 20
)

// maxChunk bounds the rows of a chunk.
const maxChunk = 64

// floats is the memory of a worker for up to n rows. Slots start at multiples of
// a cache line.
func (p *plan) floats(n int) int {
	total := p.own
	for k, st := range p.stages {
		for _, s := range st.slots {
			total += align(s * p.chunkRows(k, n))
		}
	}
	return total
}

// chunkRows is the number of rows of a stage's chunk in a worker for up to n rows.
func (p *plan) chunkRows(k, n int) int {
	if k == len(p.stages)-1 {
		return n
	}
	return min(n, p.stages[k].rows)
}

func align(n int) int { return (n + 15) &^ 15 }

// split returns the first instruction of the tail: from there on layers gain from
// many rows at once or are cheap, and none but a dense layer works on images.
func split(instrs []instr, values []value) int {
	images := func(v int) bool { return values[v].images > 0 }
	first := len(instrs)
	for i, in := range slices.Backward(instrs) {
		if _, ok := in.layer.(*dense); ok {
			first = i
		} else if slices.ContainsFunc(in.in, images) || slices.ContainsFunc(in.out, images) {
			break
		}
	}
	return first
}

// place decides what runs in which stage and gives each value its slot.
func (m *Model) place() {
	p := m.findParts()
	l := m.lives(p)
	m.plan.stages = []stage{{until: m.tail}, {until: len(m.instrs)}}
	m.slots(p, l)
	if at := m.small(p, l); at < m.tail && m.plan.stages[0].rows < maxChunk {
		m.plan.stages = []stage{{until: at}, {until: m.tail}, {until: len(m.instrs)}}
		m.slots(p, l)
	}
}

// lives says when a program's values are there, as a whole or in part: the instructions
// that make each and that read it last, -1 for none.
type lives struct{ def, last []int }

func (m *Model) lives(p parts) lives {
	l := lives{make([]int, len(m.values)), make([]int, len(m.values))}
	for i := range m.values {
		l.last[i], l.def[i] = -1, -1
	}
	for i, in := range m.instrs {
		for _, v := range in.in {
			l.last[v] = i
		}
		for _, v := range in.out {
			l.def[v] = i
		}
	}
	l.last[m.output] = len(m.instrs)
	for v := range m.values {
		if whole, _ := p.whole(v); whole != v {
			l.def[whole] = min(l.def[whole], l.def[v])
			l.last[whole] = max(l.last[whole], l.last[v], l.def[v])
		}
	}
	return l
}

// small returns the first convolution from which on, up to the tail, the values are
// small and that has more weights than values, the tail if there is none.
func (m *Model) small(p parts, l lives) int {
	live := make([]int, len(m.instrs)) // bytes of a row
	for v := range m.values {
		if p.of[v] >= 0 {
			continue
		}
		for i := max(l.def[v], 0); i <= min(l.last[v], len(m.instrs)-1); i++ {
			live[i] += m.values[v].size * 4
		}
	}
	at, weights := m.tail, 0
	for i := m.tail - 1; i >= 0 && live[i] <= smallRow; i-- {
		if c, ok := m.instrs[i].layer.(*conv); ok && c.w.Bytes() >= live[i] {
			at = i
			weights += c.w.Bytes()
		}
	}
	if weights < largeWeights {
		return m.tail
	}
	return at
}

// stageOf returns the stage of an instruction.
func (m *Model) stageOf(i int) int {
	for k, s := range m.plan.stages {
		if i < s.until {
			return k
		}
	}
	return len(m.plan.stages) - 1
}

// slots gives each value its slot, in the last stage that makes or reads it, and each
// stage its rows.
func (m *Model) slots(p parts, l lives) {
	last := slices.Clone(l.last)
	dying := make([][]int, len(m.instrs)+1) // the values that an instruction is the last to read
	for i := range m.values {
		v := &m.values[i]
		if last[i] >= 0 && i != m.input && p.of[i] < 0 {
			dying[last[i]] = append(dying[last[i]], i)
		}
		v.stage = m.stageOf(max(l.def[i], last[i]))
		v.slot = -1
	}
	free := make([]allocator, len(m.plan.stages))
	for k := range free {
		free[k].sizes = &m.plan.stages[k].slots
	}
	for i, in := range m.instrs {
		for j, v := range in.out {
			whole, _ := p.whole(v)
			val := &m.values[whole]
			if val.slot >= 0 { // another part came first
				continue
			}
			if from, ok := m.takes(p, v, i, last); ok && j == 0 {
				val.slot = m.values[from].slot
				last[from] = -1 // its slot lives on as v's
				continue
			}
			val.slot = free[val.stage].take(val.size)
		}
		for _, v := range dying[i] {
			if last[v] == i { // else its slot lives on
				a := &free[m.values[v].stage]
				a.free = append(a.free, m.values[v].slot)
			}
		}
	}
	for i := range m.values {
		v := &m.values[i]
		whole, at := p.whole(i)
		w := m.values[whole]
		v.stage, v.slot, v.at, v.step = w.stage, w.slot, at, w.size
	}
	for k := range m.plan.stages {
		s, bytes, total := &m.plan.stages[k], chunkBytes, 0
		if k > 0 {
			bytes = largeChunk
		}
		for _, size := range s.slots {
			total += 4 * size
		}
		s.rows = max(1, min(maxChunk, bytes/max(total, 1)))
	}
}

// takes returns the input that instruction i shares, and whether v may be written over
// it: neither is part of another value, and nobody reads the input, or a part of it, at
// the same time or later.
func (m *Model) takes(p parts, v, i int, last []int) (from int, ok bool) {
	in := m.instrs[i]
	if in.share < 0 {
		return 0, false
	}
	from = in.in[in.share]
	for j, other := range in.in {
		if w, _ := p.whole(other); j != in.share && w == from { // nothing else that is read lies in it
			return from, false
		}
	}
	a, b := m.values[v], m.values[from]
	return from, p.of[v] < 0 && p.of[from] < 0 && last[from] == i && from != m.input && a.stage == b.stage && a.size == b.size
}

// allocator gives out slots, the smallest free one that is large enough, else the
// largest, which grows.
type allocator struct {
	sizes *[]int
	free  []int
}

func (a *allocator) take(n int) int {
	sizes := *a.sizes
	best := -1
	for i, s := range a.free {
		if best < 0 || better(sizes[s], sizes[a.free[best]], n) {
			best = i
		}
	}
	if best < 0 {
		*a.sizes = append(sizes, n)
		return len(sizes)
	}
	slot := a.free[best]
	a.free = append(a.free[:best], a.free[best+1:]...)
	sizes[slot] = max(sizes[slot], n)
	return slot
}

// better tells whether a slot of size s suits n floats better than one of size t.
func better(s, t, n int) bool {
	if s >= n && t >= n {
		return s < t
	}
	return s > t
}
