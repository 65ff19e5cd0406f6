package local

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/scheduler"
)

// ErrLost is the cause for which the tasks of a lost executor end.
var ErrLost = errors.New("the executor was lost")

// Executor is a set of slots in this process.
type Executor struct {
	ID     string
	Slots  int
	Runner scheduler.Runner
	// OnLost drops what the executor holds, its blocks. Lose calls it before it
	// reports the loss; nil means there is nothing.
	OnLost func()
}

// Backend runs tasks on executors in this process. It implements
// scheduler.Backend.
//
// THREADING: all methods are safe for concurrent use. Each slot is a goroutine,
// work, that Close waits for.
type Backend struct {
	workers sync.WaitGroup

	mu        sync.Mutex
	events    scheduler.BackendEvents // nil before Start
	executors map[string]*executor
	order     []*executor // that were added, for Start
	closed    bool
}

// executor is an Executor that is there.
type executor struct {
	Executor
	tasks chan *launched // holds up to Slots
	gone  chan struct{}  // closed when it was lost or the backend was closed

	mu      sync.Mutex
	lost    bool
	running map[scheduler.TaskID]*launched // queued ones too
}

// launched is a task of an executor.
type launched struct {
	task scheduler.Task
	ctx  context.Context
	kill context.CancelCauseFunc
}

// New returns a backend with executors.
func New(executors ...Executor) *Backend {
	b := &Backend{executors: make(map[string]*executor)}
	for _, x := range executors {
		b.Add(x)
	}
	return b
}

// Start implements scheduler.Backend.
func (b *Backend) Start(events scheduler.BackendEvents) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.events = events
	for _, x := range b.order {
		b.startExecutor(x)
	}
	b.order = nil
}

// Add adds an executor. One of the same name is lost first.
func (b *Backend) Add(e Executor) {
	b.Lose(e.ID, "replaced")
	x := &executor{
		Executor: e,
		tasks:    make(chan *launched, e.Slots),
		gone:     make(chan struct{}),
		running:  make(map[scheduler.TaskID]*launched, e.Slots),
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.executors[e.ID] = x
	if b.events == nil {
		b.order = append(b.order, x)
		return
	}
	b.startExecutor(x)
}

// startExecutor is called with mu held.
func (b *Backend) startExecutor(x *executor) {
	for range x.Slots {
		b.workers.Go(func() { x.work(b.events) })
	}
	b.events.ExecutorAdded(x.ID, x.Slots)
}

// Lose makes an executor disappear, with its blocks and its tasks. Nothing more
// is heard of these.
func (b *Backend) Lose(id, reason string) {
	b.mu.Lock()
	x, events := b.executors[id], b.events
	delete(b.executors, id)
	b.mu.Unlock()
	if x == nil {
		return
	}
	x.leave(ErrLost)
	if x.OnLost != nil {
		x.OnLost()
	}
	if events != nil {
		events.ExecutorLost(scheduler.ExecutorLost{Executor: id, Message: reason})
	}
}

// Launch implements scheduler.Backend.
func (b *Backend) Launch(executor string, task scheduler.Task) {
	b.mu.Lock()
	x, events := b.executors[executor], b.events
	b.mu.Unlock()
	if x == nil {
		return // its loss is reported
	}
	ctx, kill := context.WithCancelCause(context.Background())
	l := &launched{task, ctx, kill}
	if !x.register(l) {
		kill(ErrLost)
		return
	}
	select {
	case x.tasks <- l:
	default:
		x.end(l)
		events.TaskEnded(executor, task.ID, scheduler.ExceptionFailure{
			Message: fmt.Sprintf("executor %s was given more tasks than its %d slots", executor, x.Slots), NoFault: true})
	}
}

// Kill implements scheduler.Backend.
func (b *Backend) Kill(executor string, id scheduler.TaskID, reason string) {
	b.mu.Lock()
	x := b.executors[executor]
	b.mu.Unlock()
	if x == nil {
		return
	}
	x.mu.Lock()
	l := x.running[id]
	x.mu.Unlock()
	if l != nil {
		l.kill(errors.New(reason))
	}
}

// Close kills what runs and waits for it. No more executors are added.
func (b *Backend) Close() {
	b.mu.Lock()
	b.closed = true
	all := b.executors
	b.executors = make(map[string]*executor)
	b.mu.Unlock()
	for _, x := range all {
		x.leave(errors.New("the backend is closed"))
	}
	b.workers.Wait()
}

// leave ends the executor's workers and kills its tasks.
func (x *executor) leave(cause error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.lost {
		return
	}
	x.lost = true
	close(x.gone)
	for _, l := range x.running {
		l.kill(cause)
	}
}

// register notes a task that runs, so that it can be killed.
func (x *executor) register(l *launched) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.lost {
		return false
	}
	x.running[l.task.ID] = l
	return true
}

// end strikes a task off. It reports whether its end is to be told.
func (x *executor) end(l *launched) bool {
	l.kill(nil) // frees the context
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.running, l.task.ID)
	return !x.lost
}

// work is a slot: it runs the executor's tasks one after the other.
func (x *executor) work(events scheduler.BackendEvents) {
	var slot rdd.Slot
	for {
		select {
		case <-x.gone:
			return
		case l := <-x.tasks:
			outcome := x.run(l, &slot)
			if x.end(l) {
				events.TaskEnded(x.ID, l.task.ID, outcome)
			}
		}
	}
}

// run runs one task. A panic that the runner let through is the task's failure.
func (x *executor) run(l *launched, slot *rdd.Slot) (outcome scheduler.Outcome) {
	defer func() {
		if v := recover(); v != nil {
			outcome = scheduler.ExceptionFailure{Message: fmt.Sprintf("panic: %v", v), Stack: string(debug.Stack())}
		}
	}()
	if l.ctx.Err() != nil {
		return scheduler.TaskKilled{Message: context.Cause(l.ctx).Error()}
	}
	return x.Runner.Run(l.ctx, l.task, slot)
}
