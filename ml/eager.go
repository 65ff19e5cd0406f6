package ml

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/ml/links"
	"github.com/hibana-engine/hibana/ml/nn"
	"github.com/hibana-engine/hibana/ml/serializers"
	"github.com/hibana-engine/hibana/rdd"
)

// EagerModel is a named model of a job whose network, N, is another one for each
// input, such as one that follows a sentence's parse tree. It isn't compiled: its
// functions run as the program calls them.
type EagerModel[N links.Link] struct {
	model *engine.Model[*eager[N]]
}

// Eager declares such a model: build makes the network, whose weights are read from
// npz, the bytes of a file. The file is checked before the first batch. Each task
// that runs the model at a time has a network of its own.
func Eager[N links.Link](ssc *engine.StreamingContext, name string, build func() N, npz []byte) *EagerModel[N] {
	if build == nil {
		ssc.Fail("ml.Eager "+name, rdd.ErrNilFunction)
	}
	return &EagerModel[N]{engine.NewModel(ssc, name, npz, func(file []byte) (*eager[N], error) {
		v := &eager[N]{file: file, build: build}
		net, err := v.take()
		if err != nil {
			return nil, unusable(file, err)
		}
		v.put(net)
		return v, nil
	})}
}

// Name returns the model's name.
func (m *EagerModel[N]) Name() string {
	if m == nil || m.model == nil {
		return ""
	}
	return m.model.Name()
}

// Digest returns the version that the program carries; see [ModelRef.Digest].
func (m *EagerModel[N]) Digest() string { return m.model.Carried() }

// Publish brings in a version while the stream runs; see [ModelRef.Publish].
func (m *EagerModel[N]) Publish(ctx context.Context, file []byte) (digest string, err error) {
	return m.model.Publish(ctx, file)
}

// Rollback goes back to an earlier version; see [ModelRef.Rollback].
func (m *EagerModel[N]) Rollback(ctx context.Context, digest string) (string, error) {
	return m.model.Rollback(ctx, digest)
}

// Follow uses the versions that batch programs publish; see [ModelRef.Follow].
func (m *EagerModel[N]) Follow(every time.Duration) { m.model.Follow(every) }

// PredictEager runs a network over the elements of a stream, on executors, one after
// another, and keeps their order. predict is given the network with the weights of
// the version that the batch uses and a tape for what it computes; recurrent links
// have no state before each element. What it returns must not hold arrays of the
// tape. What a function of the network refuses fails the task, as an error does.
func PredictEager[T, U any, N links.Link](in *engine.DStream[T], m *EagerModel[N], predict func(tape *nn.Tape, net N, v T) (U, error)) *engine.DStream[U] {
	const op = "ml.PredictEager"
	if predict == nil {
		in.Context().Fail(op+" "+m.Name(), rdd.ErrNilFunction)
	}
	if m == nil || m.model == nil {
		in.Context().Fail(op, fmt.Errorf("%w: it is nil; make one with ml.Eager", ErrModel))
	}
	return engine.Derive(in, "predict "+m.Name(), func(b engine.Batch, r *rdd.RDD[T]) *rdd.RDD[U] {
		return rdd.TryMapPartitions(r, func(part rdd.Part, in iter.Seq2[T, error]) iter.Seq2[U, error] {
			return atVersion(m.model, b, part, func(v *eager[N], yield func(U, error) bool) error {
				return eagerly(m.Name(), v, in, predict, yield)
			})
		})
	}, predict)
}

// eagerly runs a partition. The network is this partition's until its end: other
// operators, whose code runs between two elements, take another one. An error of the
// input passes as it is.
func eagerly[T, U any, N links.Link](model string, version *eager[N], in iter.Seq2[T, error], predict func(*nn.Tape, N, T) (U, error), yield func(U, error) bool) error {
	net, err := version.take()
	if err != nil {
		return fmt.Errorf("making a network of model %s: %w", model, err)
	}
	defer version.put(net)
	tape := nn.NewTape(nn.Evaluate, nn.Recycle())
	for v, err := range in {
		if err != nil {
			return err
		}
		restore := links.Fresh(net)
		u, err := predict(tape, net, v)
		restore()
		err = errors.Join(err, tape.Err())
		tape.Release()
		if err != nil {
			return fmt.Errorf("running model %s: %w", model, err)
		}
		if !yield(u, nil) {
			return nil
		}
	}
	return nil
}

// eager is a version of an eager model in a process.
type eager[N links.Link] struct {
	file  []byte
	build func() N

	mu   sync.Mutex
	free []N // that no task uses; at most as many as tasks ran at once
}

// take returns a network that nobody else uses until it is put back.
func (v *eager[N]) take() (net N, err error) {
	v.mu.Lock()
	if n := len(v.free); n > 0 {
		net, v.free = v.free[n-1], v.free[:n-1]
		v.mu.Unlock()
		return net, nil
	}
	v.mu.Unlock()
	if net = v.build(); any(net) == nil || reflect.ValueOf(net).Kind() == reflect.Pointer && reflect.ValueOf(net).IsNil() {
		return net, errors.New("its build function returned nil")
	}
	return net, serializers.LoadNPZBytes(v.file, net)
}

func (v *eager[N]) put(net N) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.free = append(v.free, net)
}
