package remote

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/block"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// incarnation is the tests' job.
const incarnation = 42

// patience bounds what tests wait for; reaching it is a failure.
const patience = 30 * time.Second

// host is a Host whose program is made of functions.
type host struct {
	run      func(ctx context.Context, task scheduler.Task) scheduler.Outcome
	refusal  string        // why the program can't be built
	block    chan struct{} // Register waits for it, unless it is nil
	building chan struct{} // is told that Register waits, unless it is nil
	load     func(ModelVersion) (failure string)
	cached   func(task.Block) task.Sendable                                  // nil for nothing
	receive  func(ctx context.Context, input int32, tell func([]byte)) error // nil for what ends at once
	full     chan struct{}                                                   // is told that Room waits, which it does until its ctx ends; nil for room

	mu        sync.Mutex
	epoch     uint64
	store     *shuffle.Store
	values    []wire.Value
	invoked   []uint64
	forgotten uint64
	stored    []scheduler.StoredBlock // what is told once of cached partitions
	dropped   []lineage.ID
}

func (h *host) Register(hello *Hello, values []wire.Value) *Registered {
	if h.building != nil {
		h.building <- struct{}{}
	}
	if h.block != nil {
		<-h.block
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refusal != "" {
		return &Registered{Failure: h.refusal}
	}
	if h.values = values; hello.Epoch > h.epoch {
		h.epoch, h.store = hello.Epoch, shuffle.NewStore(block.NewStore(1<<30, ""))
	}
	r := &Registered{Fingerprint: 1, Slots: 2, Batches: h.invoked}
	if hello.Hold != nil {
		for _, v := range hello.Hold.Versions {
			r.Held = append(r.Held, Held{Version: v, Failure: h.load(v)})
		}
	}
	return r
}

func (h *host) Room(ctx context.Context) error {
	if h.full == nil {
		return nil
	}
	h.full <- struct{}{}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (h *host) Invoke(i *Invoke, answer func(*Invoked)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.invoked = append(h.invoked, i.Seq)
	if string(i.Invocation) == "other" {
		answer(&Invoked{Seq: i.Seq, Failure: "it differs", Lineage: []string{"mine"}})
	}
}

// Hold answers as load says.
func (h *host) Hold(hold *Hold, answer func(*Held)) {
	for _, v := range hold.Versions {
		answer(&Held{Version: v, Failure: h.load(v)})
	}
}

func (h *host) Forget(f Forget) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forgotten = f.Until
}

func (h *host) DropCached(rdds []lineage.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropped = append(h.dropped, rdds...)
}

func (h *host) Stored() func() []scheduler.StoredBlock {
	return func() []scheduler.StoredBlock {
		h.mu.Lock()
		defer h.mu.Unlock()
		stored := h.stored
		h.stored = nil
		return stored
	}
}

func (h *host) Cached(epoch uint64, b task.Block) task.Sendable {
	h.mu.Lock()
	defer h.mu.Unlock()
	if epoch != h.epoch || h.cached == nil {
		return nil
	}
	return h.cached(b)
}

func (h *host) Store(epoch uint64) *shuffle.Store {
	h.mu.Lock()
	defer h.mu.Unlock()
	if epoch != h.epoch {
		return nil
	}
	return h.store
}

func (h *host) Run(ctx context.Context, task scheduler.Task, _ *task.Slot) scheduler.Outcome {
	return h.run(ctx, task)
}

// Receive says that it began, and waits until ctx ends, or says what it is told to.
func (h *host) Receive(ctx context.Context, input int32, tell func([]byte)) error {
	if h.receive == nil {
		return nil
	}
	return h.receive(ctx, input, tell)
}

// executor is an executor process's server on a port of loopback.
type executor struct {
	wire.ExecutorProcess
	host   *host
	server *Server
	stop   func() // as if the process had died
}

// start starts an executor.
func start(t *testing.T, id string, s security.Security, h *host) *executor {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &executor{host: h, server: NewServer(incarnation, 2, h, slog.New(slog.DiscardHandler))}
	x.ExecutorProcess = wire.ExecutorProcess{Executor: id, Instance: 1, Address: l.Addr().String(), Slots: 2}
	doors := rpc.NewServer(s)
	RegisterTasks(doors, x.server)
	RegisterShuffle(doors, x.server)
	var serving sync.WaitGroup
	serving.Go(func() { _ = doors.Serve(l) })
	x.stop = sync.OnceFunc(func() {
		doors.Stop()
		serving.Wait()
		x.server.Close()
	})
	t.Cleanup(x.stop)
	return x
}

// events takes what a backend reports, as lines, and outcomes.
type events struct {
	lines    chan string
	outcomes chan scheduler.Outcome
}

func newEvents() *events { return &events{make(chan string, 1000), make(chan scheduler.Outcome, 1000)} }

func (e *events) ExecutorAdded(executor string, slots int) {
	e.lines <- fmt.Sprintf("added %s with %d slots", executor, slots)
}

func (e *events) ExecutorResized(executor string, slots int) {
	e.lines <- fmt.Sprintf("resized %s to %d slots", executor, slots)
}

func (e *events) Stored(executor string, stored []scheduler.StoredBlock) {
	for _, b := range stored {
		e.lines <- fmt.Sprintf("stored partition %d of batch %d on %s", b.Block.Partition, b.Block.Batch, executor)
	}
}

func (e *events) ExecutorLost(l scheduler.ExecutorLost) {
	e.lines <- fmt.Sprintf("lost %s: %s", l.Executor, l.Message)
}

func (e *events) CommitAsked(_ string, id scheduler.TaskID) {
	e.lines <- fmt.Sprintf("partition %d attempt %d asks to commit", id.Partition, id.Attempt)
}

func (e *events) TaskEnded(_ string, id scheduler.TaskID, o scheduler.Outcome) {
	e.lines <- fmt.Sprintf("ended partition %d attempt %d", id.Partition, id.Attempt)
	e.outcomes <- o
}

// next returns what comes next on a channel.
func next[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waiting for %s", what)
	}
	return v
}

// driver is a backend with what it reports.
type driver struct {
	*Backend
	*events
	failed   chan error
	diverged chan *Invoked
}

// drive starts a backend of an epoch with the given executors and closes it when
// the test ends.
func drive(t *testing.T, s security.Security, epoch uint64, executors ...*executor) *driver {
	t.Helper()
	d := &driver{events: newEvents(), failed: make(chan error, 16), diverged: make(chan *Invoked, 16)}
	d.Backend = NewBackend(Config{
		Incarnation: incarnation, Epoch: epoch, Header: []byte("header"), Security: s, MaxResultBytes: 64 << 20,
		Values: []wire.Value{{Name: "a", Data: []byte("1")}, {Name: "b", Data: []byte("2")}},
		Logger: slog.New(slog.DiscardHandler),
		Check: func(_ string, r *Registered) error {
			if r.Fingerprint != 1 {
				return fmt.Errorf("fingerprint %d", r.Fingerprint)
			}
			return nil
		},
		Diverged: func(_ string, i *Invoked) { d.diverged <- i },
		Failed:   func(err error) { d.failed <- err },
	})
	t.Cleanup(d.Close)
	d.members(executors...)
	d.Start(d.events)
	return d
}

func (d *driver) members(executors ...*executor) {
	var all []wire.ExecutorProcess
	for _, x := range executors {
		all = append(all, x.ExecutorProcess)
	}
	d.SetMembers(wire.Members{Processes: all, Expected: len(all)})
}

// taskOf returns a task of a batch.
func taskOf(epoch, batch uint64, partition int32, inputs ...*shuffle.Outputs) scheduler.Task {
	return scheduler.Task{
		ID:     scheduler.TaskID{Incarnation: incarnation, Epoch: epoch, Batch: batch, Stage: scheduler.ResultStage(0), Partition: partition},
		Inputs: inputs,
	}
}

// succeed is a program whose tasks return a result.
func succeed(result []byte) *host {
	return &host{run: func(context.Context, scheduler.Task) scheduler.Outcome { return scheduler.Success{Result: result} }}
}

// waiting is a program whose tasks say on started that they run and wait to be
// killed.
func waiting(started chan<- scheduler.TaskID, causes chan<- error) *host {
	return &host{run: func(ctx context.Context, task scheduler.Task) scheduler.Outcome {
		started <- task.ID
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return scheduler.Failed(ctx, ctx.Err())
	}}
}

// rawStream is a Work stream, with its messages one by one.
type rawStream struct {
	grpc.ClientStream
	*end[ToExecutor, FromExecutor]
}

// rawWork opens a stream to an executor as a driver would and sends messages.
func rawWork(t *testing.T, x *executor, s security.Security, messages ...*ToExecutor) rawStream {
	t.Helper()
	cc, err := rpc.Dial(x.Address, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	work, err := TasksClient{CC: cc}.Work(ctx)
	if err != nil {
		t.Fatal(err)
	}
	stream := rawStream{work, driverEnd(work)}
	for _, m := range messages {
		if err := stream.send(m); err != nil {
			t.Fatal(err)
		}
	}
	return stream
}

func newSecret() security.Security { return security.Security{}.WithToken(security.NewToken()) }

// startShuffle serves a Shuffle service until the test ends.
func startShuffle(t *testing.T, s security.Security, x ShuffleServer) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	doors := rpc.NewServer(s)
	RegisterShuffle(doors, x)
	var serving sync.WaitGroup
	serving.Go(func() { _ = doors.Serve(l) })
	t.Cleanup(func() {
		doors.Stop()
		serving.Wait()
	})
	return l.Addr().String()
}
