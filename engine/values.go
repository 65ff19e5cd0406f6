package engine

import (
	"context"
	"fmt"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/encoding"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// Value runs f once, on the active driver while it builds the graph, and
// returns its result in every process and, once a batch was planned, after every restart:
// the result is recorded and replayed. Time, random numbers, files and requests belong in it,
// since a program may not have effects of its own. In a process that only
// builds the graph the zero value may be returned.
func Value[T any](ssc *StreamingContext, name string, f func(ctx context.Context) (T, error)) T {
	var none T
	op := "value " + name
	if !ssc.program.Open(op) {
		return none
	}
	if f == nil {
		ssc.fail(op, rdd.ErrNilFunction)
		return none
	}
	if err := ssc.program.Graph.Once(plan.Declared(op, f)); err != nil {
		ssc.fail(op, err)
		return none
	}
	codec, err := encoding.For[T]()
	if err != nil {
		ssc.fail(op, err)
		return none
	}
	if len(ssc.program.Errs) > 0 {
		return none // the program can't run: what failed before may be why this would
	}
	data, err := ssc.program.Values.Get(ssc.ctx, name, func(ctx context.Context) ([]byte, error) {
		var v T
		err := ssc.program.Calls.Guard(op, func() (err error) {
			v, err = f(ctx)
			return err
		})
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
	decl := plan.Declared("perBatch "+name, f)
	v := &BatchValue[T]{index: len(ssc.program.Graph.Values), codec: codec}
	if !ssc.program.Graph.Open(decl.Op, decl.Site) {
		return v
	}
	if err := ssc.program.Graph.Once(decl); err != nil {
		ssc.fail(decl.Op, err)
	}
	ssc.program.Graph.Values = append(ssc.program.Graph.Values, &plan.PerBatch{
		Declaration: decl, Name: name,
		Compute: func(ctx context.Context, a *plan.Allocation) ([]byte, error) {
			x, err := f(ctx, batchOf(a))
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
	if ssc.program.Open("onDriver") {
		ssc.program.OnDriver = append(ssc.program.OnDriver, plan.Effect{Site: lineage.Caller(), Run: f})
	}
}

// DriverTask declares a task that runs on the active driver beside the stream,
// from its start until f returns or the stream stops, when ctx ends. An error
// of f fails the job, unless ctx has ended.
func (ssc *StreamingContext) DriverTask(name string, f func(ctx context.Context) error) {
	require(ssc, "driverTask "+name, f != nil)
	if ssc.program.Open("driverTask " + name) {
		ssc.program.DriverTasks = append(ssc.program.DriverTasks, plan.DriverTask{Name: name, Run: f})
	}
}

// OnStop declares an effect: f runs on the driver when the stream has stopped,
// after its last batch, the last declared first. ctx ends after the stop
// timeout.
func (ssc *StreamingContext) OnStop(f func(ctx context.Context) error) {
	require(ssc, "onStop", f != nil)
	if ssc.program.Open("onStop") && f != nil {
		ssc.program.OnStop = append(ssc.program.OnStop, plan.Effect{Site: lineage.Caller(), Run: f})
	}
}
