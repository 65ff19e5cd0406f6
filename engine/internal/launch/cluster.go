package launch

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/metrics"
	"github.com/hibana-engine/hibana/engine/remote"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
)

// remoteMaster runs tasks in executor processes.
type remoteMaster struct {
	source   executorSource
	security security.Security // with the job's secret
	log      *slog.Logger

	config  remote.Config
	options scheduler.Options
	graph   []string
	cluster *remoteCluster
}

// executorSource is where a job's executor processes come from.
type executorSource interface {
	// parallelism returns the default number of shuffle partitions.
	parallelism(ctx context.Context) (int, error)
	// start begins to start processes, if that is the source's to do. report
	// takes those that are ready and how many are expected; died those that ended
	// by themselves; fail takes the reason why there will be none.
	start(h plan.JobHeader, report func(wire.Members), died func(wire.ProcessDied), fail func(error)) error
	// patience is how long the first batch waits for executors that are expected.
	patience() time.Duration
	// remedy says what a user can do about an executor that takes no tasks, "" for
	// nothing.
	remedy(executor string) string
	// targets returns the processes whose metrics are served, if they are the source's.
	targets() []metrics.Target
	// close ends the processes, if that is the source's to do.
	close() error
}

func (m *remoteMaster) Parallelism(ctx context.Context) (int, error) {
	return m.source.parallelism(ctx)
}

// prepare brings the header and the values into the shape in which executors get
// them, and lets them start: they build while the driver writes its log.
func (m *remoteMaster) prepare(_ context.Context, j *Job, driverCopy *plan.Program, h plan.JobHeader, values []plan.NamedValue) error {
	header, err := wire.Encode(&h)
	if err != nil {
		return err
	}
	m.graph = h.Graph
	m.options = schedulerOptions(j, h)
	m.options.Logger = m.log
	m.config = remote.Config{
		Incarnation: h.Incarnation, Header: header, Security: m.security,
		MaxResultBytes: int64(j.Settings.MaxResultSize), Dir: j.Settings.LocalDir, Logger: m.log, Troubles: executorTroubles{j.troubles, m.source.remedy},
	}
	for _, v := range values {
		if len(v.Data) > wire.MaxPayload {
			return fmt.Errorf("value %q takes %d bytes, at most %d can be sent to executors", v.Name, len(v.Data), wire.MaxPayload)
		}
		m.config.Values = append(m.config.Values, wire.Value{Name: v.Name, Data: v.Data})
	}
	c := newRemoteCluster(m.log, j.troubles)
	c.isBatch = j.Batch
	m.cluster = c
	m.config.Failed, m.config.Diverged, m.config.Check = c.fail, c.diverged, m.check(h)
	return m.source.start(h, c.report, c.died, c.fail)
}

// check returns the guard that compares an executor's graph with the driver's.
func (m *remoteMaster) check(h plan.JobHeader) func(string, *remote.Registered) error {
	return func(executor string, r *remote.Registered) error {
		if r.Fingerprint == h.Fingerprint {
			return nil
		}
		return divergedGraph("driver", h.Graph, "executor "+executor, r.Graph)
	}
}

func (m *remoteMaster) connect(ctx context.Context, epoch uint64) (cluster, error) {
	m.config.Epoch, m.options.Epoch = epoch, epoch
	m.cluster.open(remote.NewBackend(m.config), m.options)
	ctx, cancel := context.WithTimeout(ctx, m.source.patience())
	defer cancel()
	defer context.AfterFunc(m.cluster.ctx, cancel)()
	m.cluster.backend.Await(ctx)
	return m.cluster, nil
}

func (m *remoteMaster) targets() []metrics.Target { return m.source.targets() }

func (m *remoteMaster) close() error {
	if m.cluster != nil {
		m.cluster.close()
	}
	return m.source.close()
}

// remoteCluster is the driver's view of executor processes.
type remoteCluster struct {
	log      *slog.Logger
	troubles *plan.Troubles
	isBatch  bool            // the job is a batch program
	ctx      context.Context // ends when the job can't go on; its cause says why
	stop     context.CancelCauseFunc
	told     uint64 // pieces of a batch program's entries; of its driver

	mu      sync.Mutex
	backend *remote.Backend // nil before open
	dag     *scheduler.DAGScheduler
	members wire.Members
	batches map[uint64]*plan.Generation // in flight, to say how an executor's differ
}

func newRemoteCluster(log *slog.Logger, t *plan.Troubles) *remoteCluster {
	c := &remoteCluster{log: log, troubles: t, batches: make(map[uint64]*plan.Generation)}
	c.ctx, c.stop = context.WithCancelCause(context.Background())
	return c
}

// open lets the backend reach the executors.
func (c *remoteCluster) open(b *remote.Backend, o scheduler.Options) {
	dag := scheduler.NewDAGScheduler(b, o)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.backend, c.dag = b, dag
	b.SetMembers(c.members)
}

// report takes the executor processes that are ready.
func (c *remoteCluster) report(m wire.Members) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = m
	if c.backend != nil {
		c.backend.SetMembers(m)
	}
}

// died takes an executor process that ended by itself.
func (c *remoteCluster) died(d wire.ProcessDied) {
	c.mu.Lock()
	b := c.backend
	c.mu.Unlock()
	if b != nil {
		b.Died(d)
	}
}

// fail ends the job.
func (c *remoteCluster) fail(err error) { c.stop(err) }

// diverged ends the job because an executor generated something else.
func (c *remoteCluster) diverged(executor string, inv *remote.Invoked) {
	if c.isBatch {
		c.fail(&copyError{executor, inv.Failure})
		return
	}
	c.mu.Lock()
	gen := c.batches[inv.Seq]
	c.mu.Unlock()
	if inv.Lineage == nil || gen == nil {
		c.fail(fmt.Errorf("executor %s, batch %d: %s", executor, inv.Seq, inv.Failure))
		return
	}
	c.fail(&plan.DivergedError{Batch: inv.Seq, Name: executor, Driver: gen.Lineage.Describe(), Executor: inv.Lineage})
}

// Invoke tells the executors of a batch. It doesn't wait for them: their tasks
// come after it, and whoever can't generate it reports that by itself.
func (c *remoteCluster) Invoke(_ context.Context, gen *plan.Generation, inv plan.Invocation) error {
	if err := context.Cause(c.ctx); err != nil {
		return err
	}
	b, err := wire.Encode(&inv)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.batches[gen.Alloc.Seq] = gen
	c.mu.Unlock()
	return c.backend.Invoke(gen.Alloc.Seq, b)
}

// Receive has executors run inputs' receivers.
func (c *remoteCluster) Receive(ctx context.Context, r plan.Reception) (left []int32) {
	return c.backend.Receive(ctx, remote.Reception(r))
}

// noExecutorAfter is how long a job waits for executors before it says so.
const noExecutorAfter = 5 * time.Second

func (c *remoteCluster) Run(ctx context.Context, gen *plan.Generation, output int32) (*scheduler.JobResult, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.ctx, func() { cancel(context.Cause(c.ctx)) })()
	defer c.warnIdle("batch", gen.Alloc.Seq)()
	return runOn(ctx, c.dag, gen, output)
}

// warnIdle says that something waits if it does so for long and there is no
// executor, until stop is called.
func (c *remoteCluster) warnIdle(what ...any) (stop func()) {
	lasts := c.troubles.After(troubleIdle, noExecutorAfter, func(time.Duration) string {
		if c.awaited() == 0 {
			return "" // the daemons say it
		}
		return c.idle()
	})
	logged := time.AfterFunc(noExecutorAfter, func() {
		if why := c.idle(); why != "" {
			c.log.Warn("the job waits: "+why, what...)
		}
	})
	return func() { lasts(); logged.Stop() }
}

// awaited returns how many executors should have a process.
func (c *remoteCluster) awaited() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.members.Awaited()
}

// idle says why nobody takes tasks, "" if somebody does.
func (c *remoteCluster) idle() string {
	if c.backend.Ready() > 0 {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("no executor takes tasks; %d should have a process of the job, %d have", c.members.Awaited(), len(c.members.Processes))
}

// What troubles of executors are about. They are told in this order.
const (
	troubleIdle      = "executors"
	troubleExecutors = "executors: "
	troubleTasks     = "tasks"
)

// executorTroubles hands a job's troubles what its executors' are.
type executorTroubles struct {
	all    *plan.Troubles
	remedy func(executor string) string
}

// Executor implements remote.Troubles.
func (t executorTroubles) Executor(id, text string) {
	if remedy := t.remedy(id); text != "" && remedy != "" {
		text += "; " + remedy
	}
	t.all.SetOn(troubleExecutors+id, id, text)
}

// Task implements remote.Troubles. What is said lasts until a batch is complete.
func (t executorTroubles) Task(id, text string) { t.all.SetOn(troubleTasks, id, text) }

// Hold implements models.Executors.
func (c *remoteCluster) Hold(pins []plan.ModelPin) {
	versions := make([]remote.ModelVersion, len(pins))
	for i, p := range pins {
		versions[i] = remote.ModelVersion(p)
	}
	c.backend.Hold(versions)
}

// AwaitModel implements models.Executors.
func (c *remoteCluster) AwaitModel(ctx context.Context, p plan.ModelPin) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.ctx, func() { cancel(context.Cause(c.ctx)) })()
	defer c.warnIdle("model", p.Name, "version", p.Digest)()
	return c.backend.AwaitHeld(ctx, remote.ModelVersion(p))
}

// Process returns none: tasks run in other processes.
func (c *remoteCluster) Process() *task.Process { return nil }

func (c *remoteCluster) Remember(a *plan.Allocation) error {
	b, err := wire.Encode(&plan.Invocation{Allocation: a})
	if err != nil {
		return err
	}
	return c.backend.Invoke(a.Seq, b)
}

func (c *remoteCluster) Forget(until, keep uint64) {
	c.mu.Lock()
	for seq := range c.batches {
		if seq < until {
			delete(c.batches, seq)
		}
	}
	c.mu.Unlock()
	c.troubles.Set(troubleTasks, "") // a batch is complete
	c.dag.Forget(until, keep)
	c.backend.Forget(until, keep)
}

// close ends the streams to the executors.
func (c *remoteCluster) close() {
	c.stop(plan.ErrStopped)
	c.mu.Lock()
	dag, backend := c.dag, c.backend
	c.mu.Unlock()
	if dag != nil {
		dag.Close()
		backend.Close()
	}
}
