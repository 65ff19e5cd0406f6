package ml

import (
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/ml/compile"
	"github.com/hibana-engine/hibana/rdd"
)

// Row is a network's result for one element.
type Row struct {
	// Output holds the row's outputs. It is valid during the call only.
	Output []float32
	Model  string // name
	Digest string // version
	Batch  uint64 // sequence number of the batch
}

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

// Predict runs a model over the elements of a stream, on executors, and keeps
// their order. encode fills an element's input row; decode makes the result of
// an element and the network's output. An error of either fails the task.
func Predict[T, U any](in *engine.DStream[T], m *ModelRef, encode func(v T, row []float32) error, decode func(v T, out Row) (U, error)) *engine.DStream[U] {
	if encode == nil || decode == nil {
		in.Context().Fail("ml.Predict "+m.name, rdd.ErrNilFunction)
	}
	return engine.Derive(in, "predict "+m.name, func(b engine.Batch, r *rdd.RDD[T]) *rdd.RDD[U] {
		row := Row{Model: m.name, Digest: b.Model(m.name), Batch: b.Seq}
		return rdd.MapPartitions(r, func(tc *rdd.TaskContext, in iter.Seq2[T, error]) iter.Seq2[U, error] {
			return func(yield func(U, error) bool) {
				p := &predictor[T, U]{row: row, encode: encode, decode: decode, yield: yield}
				if err := p.run(tc, m, in); err != nil {
					var none U
					yield(none, err)
				}
			}
		})
	})
}

// scratch is a worker of a model and its input.
type scratch struct {
	worker *compile.Worker
	input  []float32
	size   int // of an input row
	out    int // of an output row
}

// scratchKey finds the scratches of a version in a slot.
type scratchKey struct{ name, digest string }

// scratches are those of a slot that nobody uses. A task takes one for each
// place where it runs the model: two may be at work in turn.
type scratches struct{ free []*scratch }

// take returns a scratch that nobody else uses until it is put back.
func (p *scratches) take(tc *rdd.TaskContext, m *ModelRef, digest string) (*scratch, error) {
	if n := len(p.free); n > 0 {
		s := p.free[n-1]
		p.free = p.free[:n-1]
		return s, nil
	}
	c, err := m.compiled(tc.Process, digest)
	if err != nil {
		return nil, err
	}
	n := batchRows(c)
	return &scratch{c.NewWorker(n), make([]float32, n*c.InputLen()), c.InputLen(), c.OutputLen()}, nil
}

// openScratches returns the slot's scratches for a version of the model.
func openScratches(tc *rdd.TaskContext, m *ModelRef, digest string) (*scratches, error) {
	s, err := tc.Slot.Local(scratchKey{m.name, digest}, func() (any, error) { return &scratches{}, nil })
	if err != nil {
		return nil, err
	}
	return s.(*scratches), nil
}

// predictor runs one partition through a model.
type predictor[T, U any] struct {
	row    Row
	encode func(T, []float32) error
	decode func(T, Row) (U, error)
	yield  func(U, error) bool

	s       *scratch
	waiting []T
	results []U
	stopped bool // the consumer wants no more
}

// run takes the elements in batches of rows.
func (p *predictor[T, U]) run(tc *rdd.TaskContext, m *ModelRef, in iter.Seq2[T, error]) error {
	pool, err := openScratches(tc, m, p.row.Digest)
	if err != nil {
		return err
	}
	if p.s, err = pool.take(tc, m, p.row.Digest); err != nil {
		return err
	}
	defer func() { pool.free = append(pool.free, p.s) }()
	for v, err := range in {
		if err != nil {
			return err
		}
		if p.waiting = append(p.waiting, v); len(p.waiting) == p.s.worker.MaxBatch() {
			if err := p.flush(); err != nil || p.stopped {
				return err
			}
		}
	}
	return p.flush()
}

// flush runs the waiting rows and yields their results. Invariant: the scratch
// is used from the first encode to the last decode only, while no code of
// another operator runs: the elements may come from a Predict of the same model
// in the same task, or go to one.
func (p *predictor[T, U]) flush() error {
	n := len(p.waiting)
	if n == 0 {
		return nil
	}
	for i, v := range p.waiting {
		if err := p.encode(v, p.s.input[i*p.s.size:(i+1)*p.s.size]); err != nil {
			return fmt.Errorf("making an input row of model %s: %w", p.row.Model, err)
		}
	}
	out, err := p.s.worker.Run(p.s.input[:n*p.s.size], n)
	if err != nil {
		return fmt.Errorf("running model %s: %w", p.row.Model, err)
	}
	for i, v := range p.waiting {
		p.row.Output = out[i*p.s.out : (i+1)*p.s.out : (i+1)*p.s.out]
		u, err := p.decode(v, p.row)
		if err != nil {
			return fmt.Errorf("reading an output row of model %s: %w", p.row.Model, err)
		}
		p.results = append(p.results, u)
	}
	for _, u := range p.results {
		if p.stopped = !p.yield(u, nil); p.stopped {
			return nil
		}
	}
	clear(p.waiting)
	clear(p.results)
	p.waiting, p.results = p.waiting[:0], p.results[:0]
	return nil
}
