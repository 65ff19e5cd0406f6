package ml

import (
	"fmt"
	"iter"
	"slices"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/task"
)

// TrainOn declares an output that trains a network on a stream: step is given
// the network with the weights of the version that the batch uses, and the
// batch's rows in the order of their partitions, and changes the weights, as by
// an optimizer's updates. What comes of it is the next version of the model,
// which the batch after uses. An empty batch changes nothing.
//
// It runs in one task, whose memory a batch's rows must fit. The weights are all
// that is kept: an optimizer with a state of its own, such as Adam, starts anew
// in each batch. step must depend on its arguments alone; then a batch that runs
// again after a failure leaves the same weights. m must come from [Model].
func TrainOn[T any](in *engine.DStream[T], m *ModelRef, step func(net Network, rows []T) error) {
	op := "ml.TrainOn " + m.Name()
	if step == nil {
		in.Context().Fail(op, rdd.ErrNilFunction)
	}
	if !m.require(in.Context(), "ml.TrainOn") {
		return
	}
	if m.build == nil {
		in.Context().Fail(op, fmt.Errorf("%w: only a model made by ml.Model can be trained", ErrModel))
		return
	}
	m.keepFile = true
	engine.UpdateModel(engine.Derive(in, "train "+m.Name(), func(b engine.Batch, r *rdd.RDD[T]) *rdd.RDD[[]byte] {
		rows := rdd.Reduced(rdd.MapPartitions(r, gather[T]), func(a, b []T) []T { return append(a, b...) })
		return rdd.TryMapPartitions(rows, func(part rdd.Part, batches iter.Seq2[[]T, error]) iter.Seq2[[]byte, error] {
			tc := part.Task()
			return func(yield func([]byte, error) bool) {
				for rows, err := range batches {
					var file []byte
					if err == nil && len(rows) > 0 {
						file, err = trainStep(tc, m, b, rows, step)
					}
					if err != nil || file != nil {
						yield(file, err)
					}
				}
			}
		})
	}, step), m.model)
}

// gather collects a partition.
func gather[T any](_ rdd.Part, in iter.Seq[T]) iter.Seq[[]T] {
	return func(yield func([]T) bool) { yield(slices.AppendSeq([]T{}, in)) }
}

// trainStep makes the next version's file.
func trainStep[T any](tc *task.Context, m *ModelRef, b engine.Batch, rows []T, step func(Network, []T) error) ([]byte, error) {
	v, err := m.model.At(tc, b)
	if err != nil {
		return nil, err
	}
	file, err := trained(m.build, v.file, func(net Network) error { return step(net, rows) })
	if err != nil {
		return nil, fmt.Errorf("model %s, batch %d: %w", m.Name(), b.Seq, err)
	}
	return file, nil
}
