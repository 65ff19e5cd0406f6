package ml

import (
	"fmt"
	"sync"

	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/ml/onnx"
)

// maxRows is how many rows run at once at most: enough to read dense weights once
// for many rows.
const maxRows = 256

// maxScratchBytes bounds the memory of one scratch, unless a single row takes
// more: models of large images run in smaller batches. The number of rows never
// changes a result.
const maxScratchBytes = 64 << 20

// batchRows is how many rows of a model run at once.
func batchRows(m *compile.Model) int {
	n := maxRows
	for n > 1 && m.ScratchBytes(n)+4*n*m.InputLen() > maxScratchBytes {
		n /= 2
	}
	return n
}

// version is a version of a model in a process: one copy of the weights, and a
// scratch for each task that runs it at the moment.
type version struct {
	model *compile.Model
	parts []onnx.Part // of a row's result; none if they have no names
	rows  int
	file  []byte // if the model is trained on a stream

	byLength []*version // of a model of several lengths, which has no other fields

	mu   sync.Mutex
	free []*scratch // that nobody uses; at most as many as tasks ran at once
}

// scratch is a worker of a model and its input.
type scratch struct {
	worker *compile.Worker
	input  []float32
	size   int // of an input row
	out    int // of an output row
}

func newVersion(m *compile.Model, parts []onnx.Part) *version {
	return &version{model: m, parts: parts, rows: batchRows(m)}
}

// take returns a scratch that nobody else uses until it is put back. A task
// takes one for each place where it runs the model: two may be at work in turn.
func (v *version) take() *scratch {
	v.mu.Lock()
	if n := len(v.free); n > 0 {
		s := v.free[n-1]
		v.free = v.free[:n-1]
		v.mu.Unlock()
		return s
	}
	v.mu.Unlock()
	m := v.model
	return &scratch{m.NewWorker(v.rows), make([]float32, v.rows*m.InputLen()), m.InputLen(), m.OutputLen()}
}

func (v *version) put(s *scratch) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.free = append(v.free, s)
}

// runAll runs n rows, as many at a time as a scratch holds. out is what the results of all
// have in common.
func (v *version) runAll(out Row, n int, encode func(i int, row []float32) error, decode func(i int, out Row) error) error {
	s := v.take()
	defer v.put(s)
	out.parts = v.parts
	most := s.worker.MaxBatch()
	for from := 0; from < n; from += most {
		err := s.run(out.Model, min(most, n-from),
			func(i int, row []float32) error { return encode(from+i, row) },
			func(i int, result []float32) error {
				out.Output = result
				return decode(from+i, out)
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// run computes n rows, each of which fill writes and whose result read gets.
func (s *scratch) run(model string, n int, fill func(i int, row []float32) error, read func(i int, out []float32) error) error {
	for i := range n {
		row := s.input[i*s.size : (i+1)*s.size]
		clear(row) // it held another batch's
		if err := fill(i, row); err != nil {
			return fmt.Errorf("making an input row of model %s: %w", model, err)
		}
	}
	out, err := s.worker.Run(s.input[:n*s.size], n)
	if err != nil {
		return fmt.Errorf("running model %s: %w", model, err)
	}
	for i := range n {
		if err := read(i, out[i*s.out:(i+1)*s.out:(i+1)*s.out]); err != nil {
			return fmt.Errorf("reading an output row of model %s: %w", model, err)
		}
	}
	return nil
}

// warm runs the model once, so that the first batch finds a scratch whose pages
// are there. A network may refuse a row of zeros: that doesn't make it a bad one.
func (v *version) warm() {
	for _, l := range v.byLength {
		l.warm()
	}
	if v.byLength != nil {
		return
	}
	s := v.take()
	_, _ = s.worker.Run(s.input, v.rows)
	v.put(s)
}
