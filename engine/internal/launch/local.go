package launch

import (
	"context"
	"errors"
	"os"
	"sync"

	"github.com/hibana-engine/hibana/engine/internal/executor"
	"github.com/hibana-engine/hibana/engine/internal/models"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/engine/remote"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/local"
)

// Local runs tasks in this process. It is strict: the program is built
// twice, a copy for the driver and one for the executor, and tasks run on the
// executor's copy from coordinates and allocations alone, as on a cluster. So a
// closure that would break there breaks here.
type Local struct {
	Slots int

	options scheduler.Options
	exec    *executor.Executor
	backend *local.Backend
	dag     *scheduler.DAGScheduler
}

// localExecutor is the name of local mode's only executor.
const localExecutor = "local"

func (m *Local) Parallelism(context.Context) (int, error) { return m.Slots, nil }

// prepare builds the executor's copy and compares the two.
func (m *Local) prepare(ctx context.Context, j *Job, driverCopy *plan.Program, h plan.JobHeader, values []plan.NamedValue) error {
	executorCopy := j.newProgram(h, &plan.ValueLog{Recorded: values})
	if err := j.Build(ctx, executorCopy); err != nil {
		return err
	}
	if err := sameGraph("the driver's copy", &driverCopy.Graph, "the executor's copy", &executorCopy.Graph); err != nil {
		return err
	}
	m.options = schedulerOptions(j, h)
	m.options.Logger = j.Log
	var err error
	if m.exec, err = executor.New(ctx, executorCopy, h, m.memory(j), nil); err == nil {
		j.metrics.measure(m.exec, func() int { return m.Slots })
	}
	return err
}

func (m *Local) targets() []metrics.Target { return nil }

// memory returns what the executor may take. The process is held to it if it is the
// job's own.
func (m *Local) memory(j *Job) executor.Memory {
	memory := executor.MemoryOf(j.Settings, os.DirFS("/"), 1)
	if j.farewell != nil {
		memory.LimitHeap()
	}
	return memory
}

// schedulerOptions returns the options that a job's settings ask for.
func schedulerOptions(j *Job, h plan.JobHeader) scheduler.Options {
	return scheduler.Options{
		Incarnation: h.Incarnation, MaxFailures: j.Settings.MaxTaskFailures, MaxStageAttempts: j.Settings.MaxStageTries,
		LocalityWait: j.Settings.LocalityWait, MaxResultBytes: int64(j.Settings.MaxResultSize),
	}
}

func (m *Local) connect(_ context.Context, epoch uint64) (cluster, error) {
	m.options.Epoch = epoch
	m.exec.Adopt(epoch)
	m.backend = local.New(m.executor())
	m.exec.Crash = func() {
		m.backend.Lose(localExecutor, "a test wants it so")
		m.backend.Add(m.executor())
	}
	m.dag = scheduler.NewDAGScheduler(m.backend, m.options)
	c := &localCluster{dag: m.dag, exec: m.exec}
	if m.exec.IsBatch() {
		c.program = newLocalProgram(m.exec)
	}
	return c, nil
}

// executor returns the executor as the backend knows it.
func (m *Local) executor() local.Executor {
	return local.Executor{
		ID: localExecutor, Slots: m.Slots, Runner: m.exec, Stored: m.exec.Stored(), DropCached: m.exec.DropCached, OnLost: m.exec.DropBlocks,
	}
}

func (m *Local) close() error {
	if m.dag != nil {
		m.dag.Close()
		m.backend.Close()
	}
	if m.exec != nil {
		return m.exec.Close()
	}
	return nil
}

// localCluster is the driver's view of local mode.
type localCluster struct {
	dag     *scheduler.DAGScheduler
	exec    *executor.Executor
	program *localProgram // nil for a stream

	mu   sync.Mutex
	held map[plan.ModelPin]*models.Version // what Hold named last
}

func (c *localCluster) Process() *task.Process { return c.exec.Process() }

func (c *localCluster) Invoke(_ context.Context, gen *plan.Generation, inv plan.Invocation) error {
	err := c.exec.Invoke(inv)
	if d, ok := errors.AsType[*plan.DivergedError](err); ok {
		d.Name, d.Driver = localExecutor, gen.Lineage.Describe()
	}
	return err
}

// Receive runs inputs' receivers in this process. One that doesn't end in time is left behind,
// and heard no longer.
func (c *localCluster) Receive(ctx context.Context, r plan.Reception) (left []int32) {
	var hearing sync.RWMutex // held for reading while something is told
	over := false
	hear := func(tell func()) {
		hearing.RLock()
		defer hearing.RUnlock()
		if !over {
			tell()
		}
	}
	var receiving remote.Receivers
	for _, input := range r.Inputs {
		receiving.Run(input, func() {
			err := c.exec.Receive(ctx, input, func(message []byte) { hear(func() { r.Told(input, message) }) })
			if err != nil {
				hear(func() { r.Failed(input, err) })
			}
		})
	}
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Patience)
	defer cancel()
	left = receiving.Wait(end)
	hearing.Lock()
	defer hearing.Unlock()
	over = true
	return left
}

func (c *localCluster) Run(ctx context.Context, gen *plan.Generation, output int32) (*scheduler.JobResult, error) {
	return runOn(ctx, c.dag, gen, output)
}

// runOn runs the job of one output on a scheduler.
func runOn(ctx context.Context, dag *scheduler.DAGScheduler, gen *plan.Generation, output int32) (*scheduler.JobResult, error) {
	return dag.Submit(ctx, scheduler.NewJob(gen.Alloc.Seq, int(output), gen.Actions[output].Final))
}

// Hold implements models.Executors.
func (c *localCluster) Hold(pins []plan.ModelPin) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = make(map[plan.ModelPin]*models.Version, len(pins))
	for i, h := range c.exec.Hold(pins) {
		c.held[pins[i]] = h
	}
}

// AwaitModel implements models.Executors.
func (c *localCluster) AwaitModel(ctx context.Context, p plan.ModelPin) error {
	c.mu.Lock()
	h := c.held[p]
	c.mu.Unlock()
	_, err := h.Await(ctx)
	return err
}

func (c *localCluster) Remember(a *plan.Allocation) error {
	return c.exec.Invoke(plan.Invocation{Allocation: a})
}

func (c *localCluster) Forget(until, keep uint64) {
	c.dag.Forget(until, keep)
	c.exec.Forget(until, keep)
}
