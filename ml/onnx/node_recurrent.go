package onnx

import (
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/op"
)

// maxUnrolled bounds the steps of all recurrent nodes together, each of which
// becomes a few operations.
const maxUnrolled = 1 << 15

// recurrent is what LSTM and GRU have in common: a cell that walks over a sequence
// in one or two directions. It is unrolled: the products with the inputs of all
// steps are one, then each step has its product with the state and its cell.
type recurrent struct {
	*importer
	gates       int   // of the cell, in blocks in W, R and B
	order       []int // in which the cell's operation wants them
	interleaved bool  // there, those of a unit side by side (LSTM), else in blocks (GRU)

	in         []value
	backward   []bool    // of each direction
	batchFirst bool      // attribute layout
	applied    [][]nn.Op // the cell's functions, those of each direction
	usual      bool      // they are the operator's own
	steps      int
	rows       int // sequences in the row, usually 1
	width      int // of X
	hidden     int
	x          value // X as (steps*rows, width)

	outs           []value // (rows, hidden) of each step and direction
	states, memory []value // h and c of each direction after its last step

	err error // of the first call that failed; the later ones do nothing
}

// read checks attributes and inputs.
func (r *recurrent) read(in []value, activations ...string) error {
	r.in = in
	if err := r.attributes(activations); err != nil {
		return err
	}
	x, w, state := in[0].shape, in[1].shape, in[2].shape
	if len(x) != 3 || len(w) != 3 || len(state) != 3 {
		return fmt.Errorf("%w: X, W and R have the shapes %s, %s and %s, want three dimensions each", ErrFormat, shapeName(x), shapeName(w), shapeName(state))
	}
	r.steps, r.rows, r.width, r.hidden = x[0], x[1], x[2], state[2]
	if r.batchFirst {
		r.steps, r.rows = r.rows, r.steps
	}
	if err := r.weights(); err != nil {
		return err
	}
	if err := r.lengths(); err != nil {
		return err
	}
	if err := r.unroll(r.steps * len(r.backward)); err != nil {
		return err
	}
	r.x = r.shaped(r.rowsFirst(in[0], 1, 0, 2), r.steps*r.rows, r.width)
	return r.err
}

// attributes reads those that change the result and refuses what isn't followed.
func (r *recurrent) attributes(activations []string) error {
	switch direction := r.attrString("direction", "forward"); direction {
	case "forward":
		r.backward = []bool{false}
	case "reverse":
		r.backward = []bool{true}
	case "bidirectional":
		r.backward = []bool{false, true}
	default:
		return fmt.Errorf("%w: direction %q", ErrFormat, direction)
	}
	if r.node.attrs["clip"] != nil {
		return fmt.Errorf("%w: attribute clip", ErrUnsupported)
	}
	if r.opset < 7 {
		return fmt.Errorf("%w in opset %d", ErrUnsupported, r.opset)
	}
	r.batchFirst = r.attr("layout", 0) == 1
	return r.functions(activations)
}

// weights checks W, R, B and the states to begin with.
func (r *recurrent) weights() error {
	directions, all := len(r.backward), r.gates*r.hidden
	if h := r.attr("hidden_size", int64(r.hidden)); h != int64(r.hidden) {
		return fmt.Errorf("%w: hidden_size is %d, R has the shape %s", ErrFormat, h, shapeName(r.in[2].shape))
	}
	state := []int{directions, r.rows, r.hidden}
	if r.batchFirst {
		state[0], state[1] = r.rows, directions
	}
	for i, want := range [][]int{1: {directions, all, r.width}, 2: {directions, all, r.hidden}, 3: {directions, 2 * all}, 5: state, 6: state, 7: {directions, 3 * r.hidden}} {
		if want != nil && has(r.in, i) && !slices.Equal(r.in[i].shape, want) {
			return fmt.Errorf("%w: input %d has the shape %s, want %s", ErrFormat, i, shapeName(r.in[i].shape), shapeName(want))
		}
	}
	if err := r.packs(r.width, all); err != nil {
		return err
	}
	return r.packs(r.hidden, all)
}

// lengths allows sequence_lens only where they say what is so without them: a
// sequence that ends earlier would need steps that depend on the row.
func (r *recurrent) lengths() error {
	if !has(r.in, 4) {
		return nil
	}
	lens := r.in[4]
	if !lens.isInt() {
		return fmt.Errorf("%w: sequence_lens that depend on the row; fix them to the whole length, %d", ErrUnsupported, r.steps)
	}
	if len(lens.shape) != 1 || len(lens.ints) == 0 || r.rows > 1 && len(lens.ints) != r.rows {
		return fmt.Errorf("%w: sequence_lens of shape %s for %d sequences", ErrFormat, shapeName(lens.shape), r.rows)
	}
	for _, n := range lens.ints {
		if n != int64(r.steps) {
			return fmt.Errorf("%w: sequence_lens %d, want the whole length %d; shorter sequences take a model of their own", ErrUnsupported, n, r.steps)
		}
	}
	return nil
}

func (r *recurrent) try(o nn.Op, in ...value) (v value) {
	if r.err == nil {
		v, r.err = r.apply(o, in...)
	}
	return v
}

func (r *recurrent) shaped(x value, shape ...int) (v value) {
	if r.err == nil {
		v, r.err = r.reshape(x, shape)
	}
	return v
}

// rowsFirst changes between ONNX's two layouts.
func (r *recurrent) rowsFirst(x value, axes ...int) value {
	if r.err == nil && r.batchFirst {
		x, r.err = r.transpose(x, axes)
	}
	return x
}

// part takes elements [from, from+n) of an axis.
func (r *recurrent) part(x value, axis, from, n int) value {
	if r.err != nil {
		return value{}
	}
	ranges := make([]op.Range, axis+1)
	for i := range axis {
		ranges[i] = op.Range{Count: x.shape[i], Step: 1}
	}
	ranges[axis] = op.Range{From: from, Count: n, Step: 1}
	return r.try(op.Slice{Ranges: ranges}, x)
}

// linear is a product with weights (out, in) and, unless left out, a bias (out).
type linear struct{ w, b value }

func (r *recurrent) product(x value, l linear) value {
	if has(r.in, 3) {
		return r.try(op.Linear{}, x, l.w, l.b)
	}
	return r.try(op.Linear{}, x, l.w)
}

// outputs takes rows [from, from+n) of a product's weights.
func (r *recurrent) outputs(l linear, from, n int) linear {
	part := linear{w: r.part(l.w, 0, from, n)}
	if has(r.in, 3) {
		part.b = r.part(l.b, 0, from, n)
	}
	return part
}

// products returns the weights of direction d, of the input's and the state's.
func (r *recurrent) products(d int) (x, h linear) {
	x.w, h.w = r.ordered(r.in[1], d, 0, r.width), r.ordered(r.in[2], d, 0, r.hidden)
	if has(r.in, 3) {
		all := r.gates * r.hidden
		x.b = r.shaped(r.ordered(r.in[3], d, 0, 1), all)
		h.b = r.shaped(r.ordered(r.in[3], d, all, 1), all)
	}
	return x, h
}

// ordered puts the blocks of direction d's weights, which start at row from, in
// the order that the cell wants.
func (r *recurrent) ordered(w value, d, from, width int) value {
	blocks, axis := make([]value, r.gates), 0
	if r.interleaved {
		axis = 1
	}
	w = r.part(w, 0, d, 1)
	for i, k := range r.order {
		if blocks[i] = r.part(w, 1, from+k*r.hidden, r.hidden); r.interleaved {
			blocks[i] = r.shaped(blocks[i], r.hidden, 1, width)
		} else {
			blocks[i] = r.shaped(blocks[i], r.hidden, width)
		}
	}
	return r.shaped(r.try(op.Concat{Axis: axis}, blocks...), r.gates*r.hidden, width)
}

// initial is the state, input i, that direction d begins with.
func (r *recurrent) initial(i, d int) (v value) {
	if has(r.in, i) {
		return r.shaped(r.part(r.rowsFirst(r.in[i], 1, 0, 2), 0, d, 1), r.rows, r.hidden)
	}
	if r.err == nil {
		v, r.err = r.floats("", make([]float32, r.rows*r.hidden), []int{r.rows, r.hidden})
	}
	return v
}

// walk calls step for each of direction d's steps, in its order, with the state
// and the step's rows of each product, and keeps the states that it returns.
func (r *recurrent) walk(d int, step func(h value, x []value) value, products ...value) {
	directions := len(r.backward)
	if r.outs == nil {
		r.outs = make([]value, r.steps*directions)
	}
	h, x := r.initial(5, d), make([]value, len(products))
	for i := 0; i < r.steps && r.err == nil; i++ {
		t := i
		if r.backward[d] {
			t = r.steps - 1 - i
		}
		for k, p := range products {
			x[k] = r.part(p, 0, t*r.rows, r.rows)
		}
		h = step(h, x)
		r.outs[t*directions+d] = h
	}
	r.states = append(r.states, h)
}

// finish puts the results together: Y (steps, directions, rows, hidden), Y_h and,
// for an LSTM, Y_c (directions, rows, hidden).
func (r *recurrent) finish() ([]value, error) {
	directions := len(r.backward)
	y := r.shaped(r.try(op.Concat{Axis: 0}, r.outs...), r.steps, directions, r.rows, r.hidden)
	out := []value{r.rowsFirst(y, 2, 0, 1, 3)}
	for _, last := range [][]value{r.states, r.memory} {
		if last != nil {
			v := r.shaped(r.try(op.Concat{Axis: 0}, last...), directions, r.rows, r.hidden)
			out = append(out, r.rowsFirst(v, 1, 0, 2))
		}
	}
	return out, r.err
}
