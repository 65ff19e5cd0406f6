package engine

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/hibana-engine/hibana/rdd"
)

// StreamingContext is what the build function declares its streams in. The
// build function runs once in every process of the job and must declare the
// same each time; its errors are collected, each with its place in the program,
// and reported together before anything starts.
type StreamingContext struct {
	ctx         context.Context // of the build
	graph       *graph
	interval    time.Duration
	conf        conf
	brokers     string
	parallelism int
	errs        []error
	values      *valueLog
	shared      map[any]any
	durable     bool // the batch log outlives the process

	onDriver    []func(ctx context.Context) error
	driverTasks []driverTask
	onStop      []func(ctx context.Context) error
	listeners   []any

	log    *slog.Logger
	stdout io.Writer
	stop   func(cause error) // asks the driver to stop gracefully

	registry *modelRegistry // on the active driver
}

// BatchInterval returns the time between two batches.
func (ssc *StreamingContext) BatchInterval() time.Duration { return ssc.interval }

// DefaultParallelism returns the partition count of shuffles that name none.
// It is part of the job and the same in every process.
func (ssc *StreamingContext) DefaultParallelism() int { return ssc.parallelism }

// Brokers returns the value of the flag --brokers, "" if it wasn't given.
func (ssc *StreamingContext) Brokers() string { return ssc.brokers }

// Durable reports whether the job outlives this process: it has a checkpoint
// directory or runs on a cluster. What lives in the process, such as an
// embedded broker, doesn't fit with it.
func (ssc *StreamingContext) Durable() bool { return ssc.durable }

// Setting returns the value of a connector's setting (--conf key=value), if it
// was given.
func (ssc *StreamingContext) Setting(key string) (value string, ok bool) {
	value, ok = ssc.conf.other[key]
	return value, ok
}

// Logger returns the process's logger. Log on executors or in OnDriver, not in
// the build function: that runs in every process.
func (ssc *StreamingContext) Logger() *slog.Logger { return ssc.log }

// Fail records an error of an operator that a connector can't build.
func (ssc *StreamingContext) Fail(op string, err error) { ssc.fail(op, err) }

// Shared returns the context's value for key, made by the first that asks:
// what several operators of a connector have in common.
func (ssc *StreamingContext) Shared(key any, make func() any) any {
	v, ok := ssc.shared[key]
	if !ok {
		v = make()
		if !ssc.graph.frozen.Load() { // else it is for an operator that comes too late
			ssc.shared[key] = v
		}
	}
	return v
}

// Stop asks the driver to stop when what is planned is done. It doesn't wait,
// and does nothing in other processes. In the build function there is nothing to
// stop yet: there it is an error of the program.
func (ssc *StreamingContext) Stop() {
	if !ssc.graph.frozen.Load() {
		ssc.errs = append(ssc.errs, &rdd.FrozenError{Op: "stop", Site: rdd.Caller(), Reason: tooEarly})
		return
	}
	if ssc.stop != nil {
		ssc.stop(nil)
	}
}

// AddListener registers a listener on the driver; other processes skip it. A
// listener implements any of the On… interfaces of this package.
func (ssc *StreamingContext) AddListener(l any) {
	if ssc.open("addListener") {
		ssc.listeners = append(ssc.listeners, l)
	}
}

// tooEarly is what Stop is told in the build function.
const tooEarly = "nothing runs yet: call it in an output, a driver task or a listener, or return an error from the build function"

// open reports whether the program can still declare; what comes too late is noted.
func (ssc *StreamingContext) open(op string) bool {
	return !ssc.graph.frozen.Load() || ssc.graph.open(op, rdd.Caller())
}

// fail records an error with its place in the user's program.
func (ssc *StreamingContext) fail(op string, err error) {
	if !ssc.open(op) {
		return
	}
	ssc.errs = append(ssc.errs, &rdd.OpError{Op: op, Site: rdd.Caller(), Err: err})
}

// BuildFunc declares a program's streams.
type BuildFunc func(ssc *StreamingContext) error

// build runs a build function and returns what is wrong with the program.
func (ssc *StreamingContext) build(app string, f BuildFunc) error {
	err := guardDriver("the build function", func() error { return f(ssc) })
	ssc.graph.frozen.Store(true)
	errs := append(ssc.errs, ssc.graph.ambiguous()...)
	if err != nil {
		errs = append(errs, err)
	} else if len(errs) == 0 && len(ssc.graph.outputs) == 0 {
		errs = append(errs, fmt.Errorf("it declares no output: add Print, ForEachBatch or a sink"))
	}
	if len(errs) > 0 {
		return &BuildError{App: app, Errs: errs}
	}
	return nil
}
