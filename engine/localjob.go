package engine

import (
	"context"
	"errors"
	"sync"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/local"
)

// localMaster runs tasks in this process. It is strict: the program is built
// twice, a copy for the driver and one for the executor, and tasks run on the
// executor's copy from coordinates and allocations alone, as on a cluster. So a
// closure that would break there breaks here.
type localMaster struct {
	slots int

	options scheduler.Options
	exec    *executor
	backend *local.Backend
	dag     *scheduler.DAGScheduler
}

// localExecutor is the name of local mode's only executor.
const localExecutor = "local"

// shuffleLimit bounds the bytes of shuffle blocks that an executor holds.
const shuffleLimit = 4 << 30

func (m *localMaster) parallelism(context.Context) (int, error) { return m.slots, nil }

// prepare builds the executor's copy and compares the two.
func (m *localMaster) prepare(ctx context.Context, j *job, driverCopy *StreamingContext, h JobHeader, values []NamedValue) error {
	executorCopy := j.context(ctx, h, &valueLog{recorded: values})
	if err := executorCopy.build(j.app, j.build); err != nil {
		return err
	}
	if err := sameGraph("the driver's copy", driverCopy.graph, "the executor's copy", executorCopy.graph); err != nil {
		return err
	}
	m.options = schedulerOptions(j, h)
	m.options.Logger = j.log
	var err error
	if m.exec, err = newExecutor(ctx, executorCopy, h); err == nil {
		m.exec.calls = j.calls
	}
	return err
}

// schedulerOptions returns the options that a job's settings ask for.
func schedulerOptions(j *job, h JobHeader) scheduler.Options {
	return scheduler.Options{
		Incarnation: h.Incarnation, MaxFailures: j.conf.maxTaskFailures, MaxStageAttempts: j.conf.maxStageTries,
		LocalityWait: j.conf.localityWait, MaxResultBytes: int64(j.conf.maxResultSize),
	}
}

func (m *localMaster) connect(_ context.Context, epoch uint64) (cluster, error) {
	m.options.Epoch = epoch
	m.exec.adopt(epoch)
	m.backend = local.New(local.Executor{ID: localExecutor, Slots: m.slots, Runner: m.exec})
	m.dag = scheduler.NewDAGScheduler(m.backend, m.options)
	return &localCluster{dag: m.dag, exec: m.exec}, nil
}

func (m *localMaster) close() error {
	if m.dag != nil {
		m.dag.Close()
		m.backend.Close()
	}
	if m.exec != nil {
		return m.exec.close()
	}
	return nil
}

// localCluster is the driver's view of local mode.
type localCluster struct {
	dag  *scheduler.DAGScheduler
	exec *executor

	mu   sync.Mutex
	held map[ModelPin]*heldVersion // what Hold named last
}

func (c *localCluster) Invoke(_ context.Context, gen *generation, inv Invocation) error {
	err := c.exec.invoke(inv)
	if d, ok := errors.AsType[*DivergedError](err); ok {
		d.Name, d.Driver = localExecutor, gen.lineage.Describe()
	}
	return err
}

func (c *localCluster) Run(ctx context.Context, gen *generation, output int32) ([][]byte, rdd.TaskMetrics, error) {
	return runOn(ctx, c.dag, gen, output)
}

// runOn runs the job of one output on a scheduler.
func runOn(ctx context.Context, dag *scheduler.DAGScheduler, gen *generation, output int32) ([][]byte, rdd.TaskMetrics, error) {
	r, err := dag.Submit(ctx, scheduler.NewJob(gen.batch.Seq, int(output), gen.actions[output].Final))
	if err != nil {
		return nil, rdd.TaskMetrics{}, err
	}
	return r.Partitions, r.Metrics, nil
}

// Hold implements modelExecutor.
func (c *localCluster) Hold(pins []ModelPin) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = make(map[ModelPin]*heldVersion, len(pins))
	for i, h := range c.exec.models.hold(pins) {
		c.held[pins[i]] = h
	}
}

// AwaitModel implements modelExecutor.
func (c *localCluster) AwaitModel(ctx context.Context, p ModelPin) error {
	c.mu.Lock()
	h := c.held[p]
	c.mu.Unlock()
	_, err := h.await(ctx)
	return err
}

func (c *localCluster) Forget(until uint64) {
	c.dag.Forget(until)
	c.exec.forget(until)
}
