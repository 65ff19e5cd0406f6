package compile

import (
	"fmt"

	"github.com/hibana-engine/hibana/ml/nn"
)

// Worker runs a model for one goroutine at a time.
type Worker struct {
	model *Model
	max   int
	slots [][][]float32 // by stage and slot
	from  []int         // by stage, the first row of the chunk
	layer []layer       // the model's, with instances of stateful ones
	in    [][]float32   // arguments of the layer that runs
	out   [][]float32
	x     []float32 // of the batch that runs
}

// NewWorker makes the scratch memory for batches of up to maxBatch rows, at least
// 1. Its size is Model.ScratchBytes.
func (m *Model) NewWorker(maxBatch int) *Worker {
	maxBatch = max(1, maxBatch)
	w := &Worker{model: m, max: maxBatch, layer: make([]layer, len(m.instrs))}
	memory := make([]float32, m.plan.floats(maxBatch)-m.plan.own)
	for k, st := range m.plan.stages {
		slots := make([][]float32, len(st.slots))
		for i, s := range st.slots {
			n := s * m.plan.chunkRows(k, maxBatch)
			slots[i], memory = memory[:n:n], memory[align(n):]
		}
		w.slots = append(w.slots, slots)
	}
	w.from = make([]int, len(m.plan.stages))
	ins, outs := 0, 0
	for i, in := range m.instrs {
		w.layer[i] = in.layer
		if s, ok := in.layer.(stateful); ok {
			w.layer[i] = s.instance()
		}
		ins, outs = max(ins, len(in.in)), max(outs, len(in.out))
	}
	w.in, w.out = make([][]float32, ins), make([][]float32, outs)
	return w
}

// Model returns the model that the worker runs.
func (w *Worker) Model() *Model { return w.model }

// MaxBatch returns the number of rows that Run takes at most.
func (w *Worker) MaxBatch() int { return w.max }

// Run computes the results of n rows, which lie one after the other in x, each
// Model.InputLen floats (images as channels, rows, columns). y holds n times
// Model.OutputLen floats and is valid until the next Run; x is only read. It
// allocates nothing unless the model holds operations that run row by row (see
// Model.String). Errors wrap ErrRows, or come from an operation that refuses a
// value.
func (w *Worker) Run(x []float32, n int) (y []float32, err error) {
	m := w.model
	if n < 1 || n > w.max {
		return nil, fmt.Errorf("%w: %d rows, this worker takes 1 to %d", ErrRows, n, w.max)
	}
	if len(x) != n*m.InputLen() {
		return nil, fmt.Errorf("%w: %d floats for a batch of %d, want %d floats a row, %s", ErrRows, len(x), n, m.InputLen(), nn.FormatShape(m.in))
	}
	w.x = x
	defer func() { w.x = nil }()
	if err := w.stage(len(m.plan.stages)-1, 0, n); err != nil {
		return nil, err
	}
	return w.slice(m.output, 0, n), nil
}

// stage runs a stage on rows [from, from+n), a chunk, after the stages before.
func (w *Worker) stage(k, from, n int) error {
	p, first := &w.model.plan, 0
	w.from[k] = from
	if k > 0 {
		first = p.stages[k-1].until
	}
	if first > 0 {
		step := p.chunkRows(k-1, w.max)
		for at := from; at < from+n; at += step {
			if err := w.stage(k-1, at, min(step, from+n-at)); err != nil {
				return err
			}
		}
	}
	return w.run(first, p.stages[k].until, from, n)
}

// run runs instructions on rows [from, from+n).
func (w *Worker) run(first, until, from, n int) error {
	for i := first; i < until; i++ {
		ins := &w.model.instrs[i]
		in, out := w.in[:len(ins.in)], w.out[:len(ins.out)]
		for j, v := range ins.in {
			in[j] = w.slice(v, from, n)
		}
		for j, v := range ins.out {
			out[j] = w.slice(v, from, n)
		}
		if err := w.layer[i].run(n, in, out); err != nil {
			return err
		}
	}
	return nil
}

// slice returns rows [from, from+n) of a value.
func (w *Worker) slice(v, from, n int) []float32 {
	val := &w.model.values[v]
	if v == w.model.input {
		return w.x[from*val.size : (from+n)*val.size]
	}
	from -= w.from[val.stage]
	return w.slots[val.stage][val.slot][from*val.step+val.at : (from+n)*val.step]
}
