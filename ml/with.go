package ml

import (
	"fmt"
	"iter"
	"slices"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// Runner runs the models of a [PredictWith], in the versions that the batch uses. It is
// valid during the call that it is given to, and for that call alone.
type Runner struct {
	models []*ModelRef
	loaded []*version
	batch  engine.Batch
}

// PredictWith runs f over the elements of a stream, on executors, one after another, and
// keeps their order. f runs models as often as the element needs: a detector, say, and then
// another network on each piece that it found, whose rows run together. [Predict] is for one
// row of one model an element; it runs those of several elements together.
func PredictWith[T, U any](in *engine.DStream[T], models []*ModelRef, f func(run *Runner, v T) (U, error)) *engine.DStream[U] {
	const op = "ml.PredictWith"
	if f == nil {
		in.Context().Fail(op, rdd.ErrNilFunction)
	}
	if len(models) == 0 {
		in.Context().Fail(op, fmt.Errorf("%w: there are no models; give those that the function runs", ErrModel))
	}
	for _, m := range models {
		m.require(in.Context(), op)
	}
	models = slices.Clone(models)
	return engine.Derive(in, "predict with models", func(b engine.Batch, r *rdd.RDD[T]) *rdd.RDD[U] {
		return rdd.TryMapPartitions(r, func(part rdd.Part, in iter.Seq2[T, error]) iter.Seq2[U, error] {
			return func(yield func(U, error) bool) {
				run, err := newRunner(models, b, part)
				if err != nil {
					var none U
					yield(none, err)
					return
				}
				for v, err := range in {
					var u U
					if err == nil {
						u, err = f(run, v)
					}
					if !yield(u, err) || err != nil {
						return
					}
				}
			}
		})
	}, f)
}

// newRunner has each model's version.
func newRunner(models []*ModelRef, b engine.Batch, part rdd.Part) (*Runner, error) {
	run := &Runner{models: models, batch: b}
	for _, m := range models {
		v, err := m.model.At(part.Task(), b)
		if err != nil {
			return nil, err
		}
		run.loaded = append(run.loaded, v)
	}
	return run, nil
}

// Rows runs a model on n rows together. encode fills row i, which comes as zeros; decode is
// given its result, in their order. An error of either ends it.
func (r *Runner) Rows(m *ModelRef, n int, encode func(i int, row []float32) error, decode func(i int, out Row) error) error {
	v, err := r.version(m)
	if err != nil {
		return err
	}
	if v.byLength != nil {
		return fmt.Errorf("running model %s: %w: its rows are of several lengths; use RowsAt", m.Name(), ErrModel)
	}
	return r.rows(m, v, 0, n, encode, decode)
}

// RowsAt is Rows for a model of several lengths, at one of them.
func (r *Runner) RowsAt(m *ModelRef, length, n int, encode func(i int, row []float32) error, decode func(i int, out Row) error) error {
	v, err := r.version(m)
	if err != nil {
		return err
	}
	k, ok := slices.BinarySearch(m.lengths, length)
	if !ok {
		return fmt.Errorf("running model %s: %w: it has no length %d, but %v", m.Name(), ErrLength, length, m.lengths)
	}
	return r.rows(m, v.byLength[k], length, n, encode, decode)
}

// version finds a model among those that were given.
func (r *Runner) version(m *ModelRef) (*version, error) {
	k := slices.Index(r.models, m)
	if k < 0 {
		return nil, fmt.Errorf("running model %s: %w: it isn't one of those that ml.PredictWith was given", m.Name(), ErrModel)
	}
	return r.loaded[k], nil
}

// rows runs n rows of a version.
func (r *Runner) rows(m *ModelRef, v *version, length, n int, encode func(int, []float32) error, decode func(int, Row) error) error {
	if encode == nil || decode == nil {
		return fmt.Errorf("running model %s: %w", m.Name(), rdd.ErrNilFunction)
	}
	return v.runAll(Row{Model: m.Name(), Digest: r.batch.Model(m.Name()), Batch: r.batch.Seq, Length: length}, n, encode, decode)
}
