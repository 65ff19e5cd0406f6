package engine

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// StreamingContext is what the build function declares its streams in. The
// build function runs once in every process of the job and must declare the
// same each time; its errors are collected, each with its place in the program,
// and reported together before anything starts.
type StreamingContext struct {
	ctx       context.Context // of the build
	program   *plan.Program   // what this copy of the program declares
	brokers   string
	shared    map[any]any
	states    map[string]any // *DStream[version[K, S]] by the state's name
	listeners *listenerBus
}

// BatchInterval returns the time between two batches.
func (ssc *StreamingContext) BatchInterval() time.Duration { return ssc.program.Interval }

// DefaultParallelism returns the partition count of shuffles that name none.
// It is part of the job and the same in every process.
func (ssc *StreamingContext) DefaultParallelism() int { return ssc.program.Parallelism }

// Brokers returns the text of the flag --brokers, which is for connectors to read;
// "" if it wasn't given.
func (ssc *StreamingContext) Brokers() string { return ssc.brokers }

// Durable reports whether the job outlives this process: it has a checkpoint
// directory or runs on a cluster. What lives in the process, such as an
// embedded broker, doesn't fit with it.
func (ssc *StreamingContext) Durable() bool { return ssc.program.Durable }

// Looking reports whether the program runs for --plan, --offsets or --conf help: its build function
// does, and nothing that it declares. So a connector needn't be told here what it reaches.
func (ssc *StreamingContext) Looking() bool { return ssc.program.Looking }

// UntilEnd reports whether the stream ends when it has read what was there at its start
// (--until-end): what is written beside it then is left to a later run.
func (ssc *StreamingContext) UntilEnd() bool { return ssc.program.Cadence == plan.UntilEnd }

// Logger returns the process's logger. Log on executors or in OnDriver, not in
// the build function: that runs in every process.
func (ssc *StreamingContext) Logger() *slog.Logger { return ssc.program.Log }

// Fail records an error of an operator that a connector can't build.
func (ssc *StreamingContext) Fail(op string, err error) { ssc.fail(op, err) }

// Shared returns the context's value for key, made by the first that asks:
// what several operators of a connector have in common.
func (ssc *StreamingContext) Shared(key any, make func() any) any {
	v, ok := ssc.shared[key]
	if !ok {
		v = make()
		if !ssc.program.Graph.Frozen() { // else it is for an operator that comes too late
			ssc.shared[key] = v
		}
	}
	return v
}

// Stop asks the driver to stop when what is planned is done. It doesn't wait,
// and does nothing in other processes. In the build function there is nothing to
// stop yet: there it is an error of the program.
func (ssc *StreamingContext) Stop() {
	if !ssc.program.Graph.Frozen() {
		ssc.program.Errs = append(ssc.program.Errs, &lineage.FrozenError{Op: "stop", Site: lineage.Caller(), Reason: tooEarly})
		return
	}
	if d := ssc.program.Driver(); d != nil {
		d.Stop()
	}
}

// AddListener registers a listener on the driver; other processes skip it. A
// listener implements any of the On… interfaces of this package.
func (ssc *StreamingContext) AddListener(l any) {
	if !hears(l) {
		ssc.fail("addListener", fmt.Errorf("%T has none of the methods of a listener, such as OnBatchCompleted(engine.BatchInfo)", l))
		return
	}
	if ssc.program.Open("addListener") {
		ssc.listeners.listeners = append(ssc.listeners.listeners, l)
	}
}

// tooEarly is what Stop is told in the build function.
const tooEarly = "nothing runs yet: call it in an output, a driver task or a listener, or return an error from the build function"

// fail records an error with its place in the user's program.
func (ssc *StreamingContext) fail(op string, err error) { ssc.program.Fail(op, err) }

// require records an error of an operator whose argument is missing.
func require(ssc *StreamingContext, op string, ok bool) {
	if !ok {
		ssc.fail(op, rdd.ErrNilFunction)
	}
}

// BuildFunc declares a program's streams.
type BuildFunc func(ssc *StreamingContext) error

// builder returns what makes a copy of a program of its build function.
func builder(brokers string, build BuildFunc) func(context.Context, *plan.Program) error {
	return func(ctx context.Context, p *plan.Program) error {
		ssc := &StreamingContext{ctx: ctx, program: p, brokers: brokers, shared: make(map[any]any), states: make(map[string]any), listeners: &listenerBus{program: p}}
		err := p.Build(func() error { return build(ssc) })
		if len(ssc.listeners.listeners) > 0 {
			p.Listener = ssc.listeners.listen
		}
		return err
	}
}
