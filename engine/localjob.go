package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/local"
)

// localJob runs a program in this process. It is strict: the program is built
// twice, a copy for the driver and one for the executor, and tasks run on the
// executor's copy from coordinates and allocations alone, as on a cluster. So a
// closure that would break there breaks here.
type localJob struct {
	app      string
	interval time.Duration
	build    BuildFunc
	slots    int
	conf     conf
	brokers  string
	batches  BatchLog
	durable  bool // the log outlives the process
	log      *slog.Logger
	stdout   io.Writer
}

// run runs the job to its end.
func (j *localJob) run(ctx context.Context) (err error) {
	recovered, err := j.batches.Recover(ctx)
	if err != nil {
		return err
	}
	header := JobHeader{App: j.app, Incarnation: uint64(time.Now().UnixNano()), Parallelism: j.slots}
	if h := recovered.Header; h != nil {
		if h.App != j.app {
			return fmt.Errorf("%w: it belongs to %q, this is %q; use another --checkpoint directory", ErrOtherProgram, h.App, j.app)
		}
		header.Incarnation, header.Parallelism = h.Incarnation, h.Parallelism
	}
	values := &valueLog{recorded: recovered.Values, record: j.batches.RecordValue}
	driverCopy := j.context(ctx, header.Parallelism, values)
	defer func() { err = errors.Join(err, runOnStop(ctx, driverCopy)) }()
	if err := driverCopy.build(j.app, j.build); err != nil {
		return err
	}
	executorCopy := j.context(ctx, header.Parallelism, &valueLog{recorded: values.recorded})
	if err := executorCopy.build(j.app, j.build); err != nil {
		return err
	}
	if err := sameGraph("the driver's copy", driverCopy.graph, "the executor's copy", executorCopy.graph); err != nil {
		return err
	}
	header.Fingerprint, header.Graph = driverCopy.graph.fingerprint(), driverCopy.graph.describe()
	if h := recovered.Header; h != nil && h.Fingerprint != header.Fingerprint {
		return fmt.Errorf("%w: the graph has changed since; use another --checkpoint directory\n%s", ErrOtherProgram,
			rdd.Diff("checkpoint", h.Graph, "program", header.Graph))
	}
	epoch, err := j.batches.Start(ctx, header)
	if err != nil {
		return err
	}
	exec := newExecutor(localExecutor, executorCopy, header.Parallelism, j.log)
	backend := local.New(local.Executor{ID: localExecutor, Slots: j.slots, Runner: exec})
	dag := scheduler.NewDAGScheduler(backend, scheduler.Options{
		Incarnation: header.Incarnation, Epoch: epoch, MaxFailures: j.conf.maxTaskFailures,
		MaxStageAttempts: j.conf.maxStageTries, LocalityWait: j.conf.localityWait, MaxResultBytes: int64(j.conf.maxResultSize),
	})
	d := &driver{
		ssc: driverCopy, header: header, epoch: epoch, recovered: recovered, batches: j.batches,
		cluster: &localCluster{dag, exec}, log: j.log, bus: driverCopy.listeners,
	}
	err = d.run(ctx)
	dag.Close()
	backend.Close()
	return errors.Join(err, exec.close())
}

// localExecutor is the name of local mode's only executor.
const localExecutor = "local"

// shuffleLimit bounds the bytes of shuffle blocks that an executor holds.
const shuffleLimit = 4 << 30

// context returns an empty context for one copy of the program.
func (j *localJob) context(ctx context.Context, parallelism int, values *valueLog) *StreamingContext {
	return &StreamingContext{
		ctx: ctx, graph: &graph{}, interval: j.interval, conf: j.conf, brokers: j.brokers,
		parallelism: parallelism, values: values, shared: make(map[any]any), durable: j.durable,
		log: j.log, stdout: j.stdout,
	}
}

// sameGraph compares two builds of a program.
func sameGraph(aName string, a *graph, bName string, b *graph) error {
	if a.fingerprint() == b.fingerprint() {
		return nil
	}
	return fmt.Errorf("%w: two builds of it declare different graphs; what differs between processes (time, random numbers, files, environment) belongs in engine.Value\n%s",
		ErrDiverged, rdd.Diff(aName, a.describe(), bName, b.describe()))
}

// runOnStop runs what the program declared for its end, the last first.
func runOnStop(ctx context.Context, ssc *StreamingContext) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var errs []error
	for i := len(ssc.onStop) - 1; i >= 0; i-- {
		errs = append(errs, guardDriver("OnStop", func() error { return ssc.onStop[i](ctx) }))
	}
	return errors.Join(errs...)
}

// localCluster is the driver's view of local mode.
type localCluster struct {
	dag  *scheduler.DAGScheduler
	exec *executor
}

func (c *localCluster) Invoke(_ context.Context, inv Invocation) error {
	return c.exec.invoke(inv)
}

func (c *localCluster) Run(ctx context.Context, gen *generation, output int32) ([][]byte, rdd.TaskMetrics, error) {
	r, err := c.dag.Submit(ctx, scheduler.NewJob(gen.batch.Seq, int(output), gen.actions[output].Final))
	if err != nil {
		return nil, rdd.TaskMetrics{}, err
	}
	return r.Partitions, r.Metrics, nil
}

func (c *localCluster) Forget(until uint64) {
	c.dag.Forget(until)
	c.exec.forget(until)
}
