package compile

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/graph"
	"github.com/hibana-engine/hibana/ml/internal/kernel"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// table is a dense layer behind numbers that the network spells out as rows of zeros
// and a one, with what follows element by element: row k for the number k, and the
// last row for whatever isn't one of 0 to count-1.
type table struct {
	rows       []float32
	count, dim int
}

func (l *table) run(_ int, in, out [][]float32) error {
	for i, v := range in[0] {
		row := l.count
		if k := int(v); float32(k) == v && k >= 0 && k < l.count { // a NaN is not equal
			row = k
		}
		copy(out[0][i*l.dim:(i+1)*l.dim], l.rows[row*l.dim:])
	}
	return nil
}

func (l *table) String() string { return fmt.Sprintf("table %dx%d", l.count, l.dim) }

// findTables finds the products that are tables.
func (b *builder) findTables() {
	made := map[int]int{} // the step that makes a value
	for i, s := range b.trace.Steps {
		if !b.live[i] {
			continue
		}
		for _, v := range s.Out {
			made[v] = i
		}
		b.findTable(i, made)
	}
}

// findTable looks before step i, a product of matrices with constant weights, for a comparison of
// numbers with 0, 1, ..., and notes what is compared.
func (b *builder) findTable(i int, made map[int]int) {
	f, ok, err := b.product(i)
	if !ok || err != nil || b.ofImages(f) {
		return
	}
	equal, ok := made[b.alias[f.x]]
	if !ok || b.trace.Steps[equal].Op != (op.Zip{Function: "Equal"}) || b.sole(f.x) != i {
		return
	}
	numbers, counted := b.trace.Steps[equal].In[0], b.trace.Steps[equal].In[1]
	if b.konst[numbers] != nil {
		numbers, counted = counted, numbers
	}
	compared := b.trace.Values[b.trace.Steps[equal].Out[0]].Spec.Shape
	classes := b.trace.Values[f.x].Spec.Shape[1]
	if b.konst[numbers] != nil || b.konst[counted] == nil || !counts(nn.Floats(b.konst[counted]), classes) || compared[len(compared)-1] != classes {
		return
	}
	gone := []int{equal}
	if wide, ok := made[b.alias[numbers]]; ok {
		if s := b.trace.Steps[wide]; b.sole(numbers) == equal && isBroadcast(s) {
			numbers, gone = s.In[0], append(gone, wide)
		}
	}
	shape := b.trace.Values[numbers].Spec.Shape
	if len(shape) == 0 || shape[len(shape)-1] != 1 || size(shape)*classes != size(compared) {
		return
	}
	for _, step := range gone {
		b.live[step] = false
	}
	read := &b.users[b.alias[numbers]]
	*read = append(slices.DeleteFunc(*read, func(user int) bool { return slices.Contains(gone, user) }), i)
	slices.Sort(*read)
	b.hot[i] = numbers
}

func isBroadcast(s graph.Step) bool { _, ok := s.Op.(op.BroadcastTo); return ok }

// counts tells whether v is 0, 1, ..., n-1.
func counts(v []float32, n int) bool {
	for i, f := range v {
		if f != float32(i) {
			return false
		}
	}
	return len(v) == n
}

// emitTable computes a product, and what is fused to it, once for each number.
func (b *builder) emitTable(f fusion, numbers int) error {
	if err := b.ready(&f); err != nil {
		return err
	}
	dim := len(f.bias)
	l := &table{count: len(f.w) / dim, dim: dim}
	l.rows = make([]float32, (l.count+1)*dim)
	kernel.ToNHWC(l.rows, f.w, 1, dim, 1, l.count)
	for k := range l.count + 1 {
		row := l.rows[k*dim : (k+1)*dim]
		kernel.Add(row, row, f.bias)
	}
	f.act.Apply(l.rows, l.rows)
	if f.then != nil {
		f.then.apply(l.rows, l.rows)
	}
	b.weights += 4 * len(l.rows)
	id := b.nchw(b.low[b.alias[numbers]])
	b.instrs = append(b.instrs, instr{l, []int{id}, []int{b.define(f.out, value{})}, -1})
	return nil
}
