package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hibana-engine/hibana/engine/modelstore"
	"github.com/hibana-engine/hibana/rdd"
)

// job is a program that is about to run as a stream: what all masters have in
// common on the driver's side.
type job struct {
	app         string
	incarnation uint64 // which submission of the job; 0 in local modes
	interval    time.Duration
	build       BuildFunc
	conf        conf
	brokers     string
	batches     BatchLog
	durable     bool   // the log outlives the process
	checkpoint  string // directory, "" for none
	log         *slog.Logger
	stdout      io.Writer
	observe     []any // listeners of the master, beside the program's
	requests    <-chan modelRequest

	calls    *calls    // of the program's functions, see run
	farewell *farewell // nil unless the process ends with the job
}

// master is where a job's tasks run.
type master interface {
	// parallelism returns the default number of shuffle partitions for a job that
	// starts. One that goes on keeps what it had.
	parallelism(ctx context.Context) (int, error)
	// prepare is told of the job before anything but values is recorded. Its error
	// ends the job.
	prepare(ctx context.Context, j *job, driverCopy *StreamingContext, header JobHeader, values []NamedValue) error
	// connect brings the executors in, as a driver of the given epoch.
	connect(ctx context.Context, epoch uint64) (cluster, error)
	// close lets the executors go. It is called once, in any case.
	close() error
}

// runProcess is run for a process that ends with the job. It returns without
// waiting for run when functions of the program hold that up for too long after
// a failure, or after an interrupt that is to end the process at once.
func (j *job) runProcess(ctx, planning context.Context, m master) error {
	j.calls = &calls{}
	j.farewell = newFarewell(j.calls, j.log)
	defer j.farewell.end()
	if !j.conf.stopGracefully {
		defer context.AfterFunc(planning, func() { j.farewell.begin(ErrStopped, stopPatience) })()
	}
	done := make(chan error, 1)
	go func() { done <- j.run(ctx, planning, m) }() // left behind if it is held up: the process ends then
	select {
	case err := <-done:
		return err
	case err := <-j.farewell.over:
		return err
	}
}

// run runs the job to its end. Planning ends with planning, which may be before
// the job is under way: batches that an earlier driver has left are finished.
// Getting under way ends with ctx.
func (j *job) run(ctx, planning context.Context, m master) (err error) {
	defer func() { err = errors.Join(err, m.close()) }()
	recovered, err := j.batches.Recover(ctx)
	if err != nil {
		return err
	}
	header, err := j.header(ctx, m, recovered.Header)
	if err != nil {
		return err
	}
	values := &valueLog{recorded: recovered.Values, record: j.batches.RecordValue}
	ssc := j.context(ctx, header, values)
	defer func() { err = errors.Join(err, j.runOnStop(ctx, ssc)) }()
	if err := ssc.build(j.app, j.build); err != nil {
		return err
	}
	header.Fingerprint, header.Graph = ssc.graph.fingerprint(), ssc.graph.describe()
	if h := recovered.Header; h != nil && !slices.Equal(shape(h.Graph), shape(header.Graph)) {
		return fmt.Errorf("%w: the graph has changed since; use another --checkpoint directory\n%s", ErrOtherProgram,
			rdd.Diff("checkpoint", shape(h.Graph), "program", shape(header.Graph)))
	}
	store, release, err := j.openModelStore(ctx, ssc.graph, &header)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := m.prepare(ctx, j, ssc, header, values.recorded); err != nil {
		return err
	}
	epoch, err := j.batches.Start(ctx, header)
	if err != nil {
		return err
	}
	c, err := m.connect(ctx, epoch)
	if err != nil {
		return err
	}
	d := &driver{
		ssc: ssc, header: header, epoch: epoch, recovered: recovered, batches: j.batches,
		cluster: c, log: j.log, calls: j.calls, farewell: j.farewell,
		bus:      listenerBus{listeners: append(ssc.listeners, j.observe...), calls: j.calls},
		models:   newModelRegistry(ssc.graph.models, store, c, j.conf.modelsRetained, j.log),
		requests: j.requests,
	}
	return d.run(planning)
}

// openModelStore opens the store of the job's models, if it has any: what the
// setting says, else a directory below the checkpoint, else a temporary one,
// which release removes. A cluster has no default, since only its users know of a
// place that every node reaches; its jobs can do without unless they publish.
func (j *job) openModelStore(ctx context.Context, g *graph, h *JobHeader) (store *modelstore.Store, release func() error, err error) {
	nothing := func() error { return nil }
	if len(g.models) == 0 {
		return nil, nothing, nil
	}
	remove := nothing
	place := j.conf.modelStore
	switch {
	case place != "":
	case j.incarnation != 0:
		return nil, nothing, nil
	case j.checkpoint != "":
		place = filepath.Join(j.checkpoint, "models")
	default:
		if place, err = os.MkdirTemp("", "hibana-models-"); err != nil {
			return nil, nothing, fmt.Errorf("making a directory for versions of models: %w", err)
		}
		remove = func() error { return os.RemoveAll(place) }
	}
	if h.ModelStore, err = modelstore.Address(place); err == nil {
		store, err = modelstore.Open(ctx, h.ModelStore, h.Incarnation)
	}
	if err != nil {
		return nil, nothing, errors.Join(err, remove())
	}
	return store, func() error { return errors.Join(store.Close(), remove()) }, nil
}

// header returns the job's header as far as it is known before the build.
func (j *job) header(ctx context.Context, m master, recorded *JobHeader) (JobHeader, error) {
	if recorded == nil {
		incarnation := j.incarnation
		if incarnation == 0 {
			incarnation = uint64(time.Now().UnixNano())
		}
		parallelism, err := m.parallelism(ctx)
		return JobHeader{App: j.app, Incarnation: incarnation, Parallelism: parallelism, Durable: j.durable}, err
	}
	if recorded.App != j.app {
		return JobHeader{}, fmt.Errorf("%w: it belongs to %q, this is %q; use another --checkpoint directory", ErrOtherProgram, recorded.App, j.app)
	}
	return JobHeader{App: j.app, Incarnation: recorded.Incarnation, Parallelism: recorded.Parallelism, Durable: recorded.Durable}, nil
}

// context returns an empty context for one copy of the program.
func (j *job) context(ctx context.Context, h JobHeader, values *valueLog) *StreamingContext {
	return &StreamingContext{
		ctx: ctx, graph: &graph{}, interval: j.interval, conf: j.conf, brokers: j.brokers,
		parallelism: h.Parallelism, values: values, shared: make(map[any]any), durable: h.Durable,
		log: j.log, stdout: j.stdout,
	}
}

// sameGraph compares two builds of a program.
func sameGraph(aName string, a *graph, bName string, b *graph) error {
	if a.fingerprint() == b.fingerprint() {
		return nil
	}
	return divergedGraph(aName, a.describe(), bName, b.describe())
}

// divergedGraph says how two builds differ.
func divergedGraph(aName string, a []string, bName string, b []string) error {
	return fmt.Errorf("%w: two builds of it declare different graphs; what differs between processes (time, random numbers, files, environment) belongs in engine.Value\n%s",
		ErrDiverged, rdd.Diff(aName, a, bName, b))
}

// runOnStop runs what the program declared for its end, the last first.
func (j *job) runOnStop(ctx context.Context, ssc *StreamingContext) error {
	defer j.farewell.allow(stopTimeout)()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var errs []error
	for i := len(ssc.onStop) - 1; i >= 0; i-- {
		if err := j.calls.guard("OnStop", func() error { return ssc.onStop[i](ctx) }); err != nil {
			errs = append(errs, fmt.Errorf("OnStop: %w", err))
		}
	}
	return errors.Join(errs...)
}
