package streaming

import (
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
)

// Errors of this package, for errors.Is.
var (
	// ErrState: what a model starts from, or its file, can't be one.
	ErrState = errors.New("not a model's state")
	// ErrPoint: a point doesn't fit the model, or holds a NaN or an infinity.
	ErrPoint = errors.New("not a point of the model's space")
)

// stateFormat is the version of the models' files.
const stateFormat = 1

// train teaches a model a stream: each partition is folded where it is, the
// results are merged in partition order, and step makes the next version's file
// of them, nil for none.
func train[T, S, P any](d *engine.DStream[T], m *engine.Model[S], op string,
	fold func(state S, rows iter.Seq2[T, error]) (P, error), merge func(P, P) P, step func(state S, total P) ([]byte, error),
) {
	engine.UpdateModel(engine.Derive(d, op+" "+m.Name(), func(b engine.Batch, r *rdd.RDD[T]) *rdd.RDD[[]byte] {
		folded := rdd.TryMapPartitions(r, func(part rdd.Part, rows iter.Seq2[T, error]) iter.Seq2[P, error] {
			tc := part.Task()
			return one(func() (p P, err error) {
				state, err := m.At(tc, b)
				if err != nil {
					return p, err
				}
				return fold(state, rows)
			})
		})
		total := rdd.Reduced(folded, merge)
		return rdd.TryMapPartitions(total, func(part rdd.Part, totals iter.Seq2[P, error]) iter.Seq2[[]byte, error] {
			tc := part.Task()
			return func(yield func([]byte, error) bool) {
				for p, err := range totals {
					var state S
					var file []byte
					if err == nil {
						state, err = m.At(tc, b)
					}
					if err == nil {
						file, err = step(state, p)
					}
					if (err != nil || file != nil) && !yield(file, err) || err != nil {
						return
					}
				}
			}
		})
	}, fold, merge, step), m)
}

// Apply maps a stream with f, on executors, which is given what the model has
// learned up to the batch before. f must not change it. An error of f fails the
// task. PredictOn is an Apply.
func Apply[T, S, U any](d *engine.DStream[T], m *engine.Model[S], f func(state S, v T) (U, error)) *engine.DStream[U] {
	return engine.Derive(d, "apply "+m.Name(), func(b engine.Batch, r *rdd.RDD[T]) *rdd.RDD[U] {
		return rdd.TryMapPartitions(r, func(part rdd.Part, rows iter.Seq2[T, error]) iter.Seq2[U, error] {
			tc := part.Task()
			return func(yield func(U, error) bool) {
				state, err := m.At(tc, b)
				if err != nil {
					var none U
					yield(none, err)
					return
				}
				for v, err := range rows {
					var u U
					if err == nil {
						u, err = f(state, v)
					}
					if !yield(u, err) || err != nil {
						return
					}
				}
			}
		})
	}, f)
}

// one yields what f returns.
func one[T any](f func() (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) { yield(f()) }
}

// encode returns a state as a version's file.
func encode(state any) ([]byte, error) {
	b, err := msgpack.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	return b, nil
}

// checkFinite returns an error that names the first NaN or infinity.
func checkFinite(what string, v []float64) error {
	for i, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("%w: %s has %v at element %d", ErrState, what, x, i)
		}
	}
	return nil
}

// checkPoint makes sure that a point can be learned.
func checkPoint(p []float64, dim int) error {
	if len(p) != dim {
		return fmt.Errorf("%w: it has %d elements, the model %d", ErrPoint, len(p), dim)
	}
	for i, x := range p {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("%w: element %d is %v", ErrPoint, i, x)
		}
	}
	return nil
}
