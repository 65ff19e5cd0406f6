package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
)

// Value runs f once, on the active driver while it builds the graph, and
// returns its result in every process and after every restart: the result is
// recorded and replayed. Time, random numbers, files and requests belong in it,
// since a program may not have effects of its own. In a process that only
// builds the graph the zero value may be returned.
func Value[T any](ssc *StreamingContext, name string, f func(ctx context.Context) (T, error)) T {
	var none T
	op := "value " + name
	if !ssc.open(op) {
		return none
	}
	if f == nil {
		ssc.fail(op, rdd.ErrNilFunction)
		return none
	}
	if err := ssc.graph.once(declared(op, f)); err != nil {
		ssc.fail(op, err)
		return none
	}
	codec, err := encoding.For[T]()
	if err != nil {
		ssc.fail(op, err)
		return none
	}
	if len(ssc.errs) > 0 {
		return none // the program can't run: what failed before may be why this would
	}
	data, err := ssc.values.get(ssc.ctx, name, func(ctx context.Context) ([]byte, error) {
		v, err := f(ctx)
		if err != nil {
			return nil, err
		}
		return codec.Append(nil, v)
	})
	if err != nil {
		ssc.fail(op, err)
		return none
	}
	v, _, err := codec.Decode(data)
	if err != nil {
		ssc.fail(op, err)
	}
	return v
}

// valueLog holds the results of Value in the order of the calls. On the driver
// it computes and records what is missing; on executors it only replays.
type valueLog struct {
	recorded []NamedValue
	next     int
	// record makes a new value durable; nil where values are only replayed.
	record func(ctx context.Context, v NamedValue) error
}

func (l *valueLog) get(ctx context.Context, name string, compute func(context.Context) ([]byte, error)) ([]byte, error) {
	if l.next < len(l.recorded) {
		v := l.recorded[l.next]
		if v.Name != name {
			return nil, fmt.Errorf("%w: call %d of Value is %q here and was recorded as %q", ErrDiverged, l.next+1, name, v.Name)
		}
		l.next++
		return v.Data, nil
	}
	if l.record == nil {
		return nil, fmt.Errorf("%w: the driver recorded no value %q", ErrDiverged, name)
	}
	data, err := compute(ctx)
	if err != nil {
		return nil, err
	}
	v := NamedValue{Name: name, Data: data}
	if err := l.record(ctx, v); err != nil {
		return nil, fmt.Errorf("recording the value: %w", err)
	}
	l.recorded = append(l.recorded, v)
	l.next++
	return data, nil
}

// BatchValue is a value that the driver computes for each batch.
type BatchValue[T any] struct {
	index int
	codec encoding.Codec[T]
}

// PerBatch declares a value that f computes on the driver when a batch is
// planned. It is part of the batch's allocation, so every process and every
// attempt sees the same. Use it in [Transform].
func PerBatch[T any](ssc *StreamingContext, name string, f func(ctx context.Context, b Batch) (T, error)) *BatchValue[T] {
	codec, err := encoding.For[T]()
	if err != nil {
		ssc.fail("perBatch "+name, err)
	}
	require(ssc, "perBatch "+name, f != nil)
	decl := declared("perBatch "+name, f)
	v := &BatchValue[T]{index: len(ssc.graph.values), codec: codec}
	if !ssc.graph.open(decl.op, decl.site) {
		return v
	}
	if err := ssc.graph.once(decl); err != nil {
		ssc.fail(decl.op, err)
	}
	ssc.graph.values = append(ssc.graph.values, &perBatchNode{
		declaration: decl, name: name,
		compute: func(ctx context.Context, b Batch) ([]byte, error) {
			x, err := f(ctx, b)
			if err != nil {
				return nil, err
			}
			return codec.Append(nil, x)
		},
	})
	return v
}

// At returns the batch's value. It is an error, and the zero value, outside a
// batch that was planned with it.
func (v *BatchValue[T]) At(b Batch) (T, error) {
	var none T
	if b.alloc == nil || v.index >= len(b.alloc.Values) {
		return none, fmt.Errorf("batch %d has no such value", b.Seq)
	}
	x, _, err := v.codec.Decode(b.alloc.Values[v.index].Data)
	return x, err
}

// OnDriver declares an effect: f runs on the active driver, before the first
// batch and again whenever a driver takes over, in the order of declaration.
// Other processes skip it. An error stops the job before it starts.
func (ssc *StreamingContext) OnDriver(f func(ctx context.Context) error) {
	require(ssc, "onDriver", f != nil)
	if ssc.open("onDriver") {
		ssc.onDriver = append(ssc.onDriver, f)
	}
}

// DriverTask declares a task that runs on the active driver beside the stream,
// from its start until f returns or the stream stops, when ctx ends. An error
// of f fails the job, unless ctx has ended.
func (ssc *StreamingContext) DriverTask(name string, f func(ctx context.Context) error) {
	require(ssc, "driverTask "+name, f != nil)
	if ssc.open("driverTask " + name) {
		ssc.driverTasks = append(ssc.driverTasks, driverTask{name, f})
	}
}

// OnStop declares an effect: f runs on the driver when the stream has stopped,
// after its last batch, the last declared first. ctx ends after the stop
// timeout.
func (ssc *StreamingContext) OnStop(f func(ctx context.Context) error) {
	require(ssc, "onStop", f != nil)
	if ssc.open("onStop") {
		ssc.onStop = append(ssc.onStop, f)
	}
}

// driverTask is a task declared by DriverTask.
type driverTask struct {
	name string
	run  func(ctx context.Context) error
}

// stopTimeout bounds the effects that run when a stream has stopped.
const stopTimeout = 30 * time.Second
