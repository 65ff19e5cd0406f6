package compile

// value is an array of the program: size floats for each row.
type value struct {
	shape []int // of a row, as the network sees it
	size  int

	images, c, h, w int  // as images, if nhwc
	nhwc            bool // kept as images with their channels innermost

	whole bool // kept for all rows, not only for a chunk
	slot  int  // index into plan.whole or plan.chunk
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
	whole []int // floats for a row of each slot that holds all rows
	chunk []int // floats for a row of each slot that holds a chunk
	rows  int   // of a chunk
	own   int   // floats of stateful layers
}

// chunkBytes bounds what a chunk's values take, so that they stay in a core's
// cache from layer to layer.
const chunkBytes = 256 << 10

// maxChunk bounds the rows of a chunk.
const maxChunk = 64

// floats is the memory of a worker for up to n rows. Slots start at multiples of
// a cache line.
func (p *plan) floats(n int) int {
	total := p.own
	for _, s := range p.whole {
		total += align(s * n)
	}
	for _, s := range p.chunk {
		total += align(s * p.chunkRows(n))
	}
	return total
}

// chunkRows is the number of rows of a chunk in a worker for up to n rows.
func (p *plan) chunkRows(n int) int { return min(n, p.rows) }

func align(n int) int { return (n + 15) &^ 15 }

// split returns the first instruction of the tail: from there on layers gain from
// many rows at once or are cheap, and none works on images.
func split(instrs []instr) int {
	first := len(instrs)
	for i := len(instrs) - 1; i >= 0; i-- {
		switch instrs[i].layer.(type) {
		case *dense:
			first = i
		case *conv, *deconv, *pool2D, *relayout:
			return first
		}
	}
	return first
}

// place decides which values are kept whole and gives each its slot.
func (m *Model) place() {
	last := make([]int, len(m.values)) // the last instruction that reads a value
	def := make([]int, len(m.values))
	for i := range m.values {
		last[i], def[i] = -1, -1
	}
	for i, in := range m.instrs {
		for _, v := range in.in {
			last[v] = i
		}
		for _, v := range in.out {
			def[v] = i
		}
	}
	last[m.output] = len(m.instrs)
	dying := make([][]int, len(m.instrs)+1) // the values that an instruction is the last to read
	for i := range m.values {
		v := &m.values[i]
		if last[i] >= 0 && i != m.input {
			dying[last[i]] = append(dying[last[i]], i)
		}
		v.whole = def[i] >= m.tail || last[i] >= m.tail
		v.slot = -1
	}
	whole := allocator{sizes: &m.plan.whole}
	chunk := allocator{sizes: &m.plan.chunk}
	for i, in := range m.instrs {
		for j, v := range in.out {
			val := &m.values[v]
			if j == 0 && in.share >= 0 && m.takes(v, i, last) {
				from := in.in[in.share]
				val.slot = m.values[from].slot
				last[from] = -1 // its slot lives on as v's
				continue
			}
			a := &chunk
			if val.whole {
				a = &whole
			}
			val.slot = a.take(val.size)
		}
		for _, v := range dying[i] {
			switch val := &m.values[v]; {
			case last[v] != i: // its slot lives on
			case val.whole:
				whole.free = append(whole.free, val.slot)
			default:
				chunk.free = append(chunk.free, val.slot)
			}
		}
	}
	total := 0
	for _, s := range m.plan.chunk {
		total += s
	}
	m.plan.rows = maxChunk
	if total > 0 {
		m.plan.rows = max(1, min(maxChunk, chunkBytes/4/total))
	}
}

// takes tells whether v may be written over the input that instruction i shares.
func (m *Model) takes(v, i int, last []int) bool {
	in := m.instrs[i]
	from := in.in[in.share]
	for j, other := range in.in {
		if j != in.share && other == from {
			return false
		}
	}
	a, b := m.values[v], m.values[from]
	return last[from] == i && from != m.input && a.whole == b.whole && a.size == b.size
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
