package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/internal/executor"
	"github.com/hibana-engine/hibana/engine/internal/faults"
	"github.com/hibana-engine/hibana/engine/internal/plan"
	"github.com/hibana-engine/hibana/engine/remote"
	"github.com/hibana-engine/hibana/engine/role"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// runExecutor is the life of a job executor process: it offers its slots, builds
// the program when the first driver brings the recorded values, and runs tasks
// for whichever driver has the highest epoch, until ctx ends.
func runExecutor(ctx context.Context, j *Job, parent *role.Parent) error {
	daemon := wire.WorkerClient{CC: parent.CC}
	call, cancel := context.WithTimeout(ctx, wire.CallTimeout)
	defer cancel()
	spec, err := daemon.Attach(call, &wire.AttachExecutor{Name: j.App})
	if err != nil {
		return fmt.Errorf("asking the daemon what to do: %w", err)
	}
	if err := tellSecrets(spec.Job.Secrets); err != nil {
		return err
	}
	security, err := jobSecurity(spec.TLS, spec.Job.Secret)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, spec.Host, security)
	if err != nil {
		return err
	}
	j.Log = j.Log.With("executor", spec.Executor)
	if err := j.openExecutorMetrics(ctx, spec.Metrics, security); err != nil {
		return errors.Join(err, listener.Close())
	}
	defer j.metrics.close()
	h := &executorHost{
		ctx: ctx, job: j, slots: spec.Slots, log: j.Log, memory: executor.MemoryOf(j.Settings, os.DirFS("/"), spec.Processes),
		fetcher: remote.NewFetcher(spec.Job.Incarnation, remote.NameOf(spec.Executor, listener.Addr().String()), security),
	}
	h.memory.LimitHeap()
	server := remote.NewServer(spec.Job.Incarnation, spec.Slots, h, j.Log)
	h.share = server.Slots
	doors := rpc.NewServer(security, faults.Of(ctx).ServerOptions()...)
	remote.RegisterTasks(doors, server)
	remote.RegisterShuffle(doors, server)
	var serving sync.WaitGroup
	serving.Go(func() { _ = doors.Serve(listener) }) // ends with Stop
	defer func() {
		doors.Stop() // first: with the drivers' streams it ends the inputs' receivers
		serving.Wait()
		server.Close()
		if err := h.close(); err != nil {
			j.Log.Warn("closing what tasks had opened", "err", err)
		}
	}()
	if err := daemon.Ready(call, &wire.ReadyRequest{Address: listener.Addr().String(), Metrics: j.metrics.address()}); err != nil {
		return fmt.Errorf("telling the daemon that the process is ready: %w", err)
	}
	select {
	case why := <-server.Failed():
		letGo(doors)
		return errors.New(why)
	case <-ctx.Done():
		return nil
	}
}

// letGo gives the answers that are on their way a moment to arrive.
func letGo(s *grpc.Server) {
	stop := time.AfterFunc(time.Second, s.Stop)
	defer stop.Stop()
	s.GracefulStop()
}

// jobSecurity returns what the processes of a job show each other.
func jobSecurity(files wire.TLSFiles, secret string) (security.Security, error) {
	if files == (wire.TLSFiles{}) {
		return security.Security{}.WithToken(secret), nil
	}
	s, err := security.LoadTLS(files)
	return s.WithToken(secret), err
}

// listen opens a listener at a free port of a host.
func listen(ctx context.Context, host string, s security.Security) (net.Listener, error) {
	address := net.JoinHostPort(host, "0")
	if err := s.CheckListen(address); err != nil {
		return nil, err
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for tasks: %w", err)
	}
	return l, nil
}

// executorHost is the executor core behind a remote.Server.
type executorHost struct {
	ctx     context.Context
	job     *Job
	slots   int        // of the process
	share   func() int // of these, that the job's driver uses
	memory  executor.Memory
	log     *slog.Logger
	fetcher *remote.Fetcher

	values   []wire.Value
	diverged divergence
	epoch    uint64                            // that a batch program's copy follows
	exec     atomic.Pointer[executor.Executor] // nil before the build
	loads    sync.WaitGroup                    // who waits for a version of a model to answer
}

// Register builds the program, the first time, and says what it built.
func (h *executorHost) Register(hello *remote.Hello, values []wire.Value) *remote.Registered {
	r, err := h.register(hello, values)
	if err != nil {
		return &remote.Registered{Failure: err.Error()}
	}
	return r
}

func (h *executorHost) register(hello *remote.Hello, values []wire.Value) (*remote.Registered, error) {
	var header plan.JobHeader
	if err := wire.Decode(hello.Header, &header); err != nil {
		return nil, fmt.Errorf("reading the job's header: %w", err)
	}
	e := h.exec.Load()
	if e == nil {
		built, err := h.build(header, values)
		if err != nil {
			return nil, err
		}
		e = built
		h.values = values
		h.exec.Store(e)
	} else if !slices.EqualFunc(values, h.values, sameValue) {
		return nil, fmt.Errorf("%w: the values that this driver recorded aren't those that the executor was built with", plan.ErrDiverged)
	}
	e.Adopt(hello.Epoch)
	if e.IsBatch() && hello.Epoch > h.epoch {
		h.epoch = hello.Epoch
		h.diverged.reset()
		e.Follow(func(err error) { h.diverged.say(named(err, hello.Executor)) })
	}
	r := &remote.Registered{Fingerprint: e.Graph().Fingerprint(), Slots: h.slots, Batches: e.Known(), Held: h.load(e, hello.Hold)}
	if r.Fingerprint != header.Fingerprint {
		r.Graph = e.Graph().Describe()
	}
	return r, nil
}

func sameValue(a, b wire.Value) bool { return a.Name == b.Name && bytes.Equal(a.Data, b.Data) }

// build builds the executor's copy of the program.
func (h *executorHost) build(header plan.JobHeader, values []wire.Value) (*executor.Executor, error) {
	log := &plan.ValueLog{}
	for _, v := range values {
		log.Recorded = append(log.Recorded, plan.NamedValue{Name: v.Name, Data: v.Data})
	}
	program := h.job.newProgram(header, log)
	if err := h.job.Build(h.ctx, program); err != nil {
		return nil, err
	}
	e, err := executor.New(h.ctx, program, header, h.memory, h.fetcher)
	if err == nil {
		h.job.metrics.measure(e, h.share)
	}
	return e, err
}

// load brings in the versions of models that a driver needs already, so that the
// first task finds them. A version that can't be loaded is reported, and keeps
// nobody from running other tasks.
func (h *executorHost) load(e *executor.Executor, hold *remote.Hold) []remote.Held {
	if hold == nil {
		return nil
	}
	held := make([]remote.Held, len(hold.Versions))
	var waiting sync.WaitGroup
	h.hold(e, hold, waiting.Go, func(i int, answer remote.Held) { held[i] = answer })
	waiting.Wait()
	return held
}

// Hold brings in and drops versions of models, and answers for each of them.
func (h *executorHost) Hold(hold *remote.Hold, answer func(*remote.Held)) {
	h.hold(h.exec.Load(), hold, h.loads.Go, func(_ int, held remote.Held) { answer(&held) })
}

// hold has the executor hold versions and answers for each when it is loaded, on
// goroutines that start starts.
func (h *executorHost) hold(e *executor.Executor, hold *remote.Hold, start func(func()), answer func(i int, held remote.Held)) {
	pins := make([]plan.ModelPin, len(hold.Versions))
	for i, v := range hold.Versions {
		pins[i] = plan.ModelPin(v)
	}
	for i, version := range e.Hold(pins) {
		start(func() {
			held := remote.Held{Version: hold.Versions[i]}
			if _, err := version.Await(h.ctx); err != nil {
				held.Failure = err.Error()
			}
			answer(i, held)
		})
	}
}

// Room waits until a batch program's copy can be told more.
func (h *executorHost) Room(ctx context.Context) error {
	if e := h.exec.Load(); e.IsBatch() {
		return e.Room(ctx)
	}
	return nil
}

// Invoke generates a batch, or takes in what a batch program's driver has done.
func (h *executorHost) Invoke(i *remote.Invoke, answer func(*remote.Invoked)) {
	if e := h.exec.Load(); e.IsBatch() {
		h.diverged.answerBy(answer)
		if err := e.TellPiece(i.Seq, i.Invocation); err != nil {
			h.diverged.say(err)
		}
		return
	}
	if failed := h.generate(i); failed != nil {
		answer(failed)
	}
}

// generate generates a stream's batch. It returns what the driver is to know if it can't, or
// is another one than the driver's.
func (h *executorHost) generate(i *remote.Invoke) *remote.Invoked {
	var inv plan.Invocation
	err := wire.Decode(i.Invocation, &inv)
	if err == nil {
		err = inv.Check(i.Seq)
	}
	if err == nil {
		err = h.exec.Load().Invoke(inv)
	}
	if err == nil {
		return nil
	}
	answer := &remote.Invoked{Seq: i.Seq, Failure: err.Error()}
	if d, ok := errors.AsType[*plan.DivergedError](err); ok {
		answer.Lineage = d.Executor
	}
	return answer
}

// Forget drops what is kept of batches that are complete.
func (h *executorHost) Forget(f remote.Forget) { h.exec.Load().Forget(f.Until, f.Keep) }

// Store returns the blocks of an epoch.
func (h *executorHost) Store(epoch uint64) *shuffle.Store {
	if e := h.exec.Load(); e != nil {
		return e.Store(epoch)
	}
	return nil
}

// Cached returns a cached partition for another executor's task.
func (h *executorHost) Cached(epoch uint64, b task.Block) task.Sendable {
	if e := h.exec.Load(); e != nil {
		return e.Cached(epoch, b)
	}
	return nil
}

// DropCached drops the cached partitions of RDDs.
func (h *executorHost) DropCached(rdds []lineage.ID) { h.exec.Load().DropCached(rdds) }

// Receive runs an input's receiver.
func (h *executorHost) Receive(ctx context.Context, input int32, tell func(message []byte)) error {
	return h.exec.Load().Receive(ctx, input, tell)
}

// Stored returns what the driver is told of the cached partitions.
func (h *executorHost) Stored() func() []scheduler.StoredBlock { return h.exec.Load().Stored() }

// Run runs a task. The driver registered before it sent one.
func (h *executorHost) Run(ctx context.Context, task scheduler.Task, slot *task.Slot) scheduler.Outcome {
	return h.exec.Load().Run(ctx, task, slot)
}

func (h *executorHost) close() error {
	if e := h.exec.Load(); e != nil {
		err := e.Close()
		h.loads.Wait()
		return err
	}
	return h.fetcher.Close()
}
