package ml

import (
	"fmt"
	"iter"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/ml/onnx"
	"github.com/hibana-engine/hibana/rdd"
)

// Row is a network's result for one element.
type Row struct {
	// Output holds the row's outputs; of a network with several see Outputs and Named. It is
	// valid during the call only.
	Output []float32
	Model  string // name
	Digest string // version
	Batch  uint64 // sequence number of the batch; 0 in a batch program
	Length int    // that the row ran at, of a model of several ([PredictLengths])

	parts []onnx.Part // of Output
}

// Predict runs a model over the elements of a stream, on executors, and keeps
// their order. encode fills an element's input row, which comes as zeros; decode makes the result of
// an element and the network's output. An error of either fails the task.
func Predict[T, U any](in *engine.DStream[T], m *ModelRef, encode func(v T, row []float32) error, decode func(v T, out Row) (U, error)) *engine.DStream[U] {
	if encode == nil || decode == nil {
		in.Context().Fail("ml.Predict "+m.Name(), rdd.ErrNilFunction)
	}
	if m.require(in.Context(), "ml.Predict") && m.lengths != nil {
		in.Context().Fail("ml.Predict "+m.Name(), fmt.Errorf("%w: its rows are of several lengths; use ml.PredictLengths", ErrModel))
	}
	return engine.Derive(in, "predict "+m.Name(), func(b engine.Batch, r *rdd.RDD[T]) *rdd.RDD[U] {
		row := Row{Model: m.Name(), Digest: b.Model(m.Name()), Batch: b.Seq}
		return rdd.TryMapPartitions(r, func(part rdd.Part, in iter.Seq2[T, error]) iter.Seq2[U, error] {
			return atVersion(m.model, b, part, func(v *version, yield func(U, error) bool) error {
				p := &predictor[T, U]{row: row, encode: encode, decode: decode, yield: yield}
				return p.run(v, in)
			})
		})
	}, encode, decode)
}

// atVersion is what run yields with the version of a model that the batch uses. An error
// ends it.
func atVersion[V, U any](m *engine.Model[V], b engine.Batch, part rdd.Part, run func(v V, yield func(U, error) bool) error) iter.Seq2[U, error] {
	tc := part.Task()
	return func(yield func(U, error) bool) {
		v, err := m.At(tc, b)
		if err == nil {
			err = run(v, yield)
		}
		if err != nil {
			var none U
			yield(none, err)
		}
	}
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
func (p *predictor[T, U]) run(version *version, in iter.Seq2[T, error]) error {
	p.s, p.row.parts = version.take(), version.parts
	defer version.put(p.s)
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
	err := p.s.run(p.row.Model, n,
		func(i int, row []float32) error { return p.encode(p.waiting[i], row) },
		func(i int, out []float32) error {
			p.row.Output = out
			u, err := p.decode(p.waiting[i], p.row)
			p.results = append(p.results, u)
			return err
		})
	if err != nil {
		return err
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
