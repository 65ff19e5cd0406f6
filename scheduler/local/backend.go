package local

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
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
	// reports the loss, and it must not add or lose executors itself; nil means
	// there is nothing.
	OnLost func()
	// DropCached drops what the executor keeps of RDDs; nil means that it keeps nothing.
	DropCached func(rdds []lineage.ID)
	// Stored returns which cached partitions the executor has stored and dropped since the
	// call before, for the next task's success. Nil means that it says nothing of them.
	Stored func() []scheduler.StoredBlock
}

// Backend runs tasks on executors in this process. It implements
// scheduler.Backend.
//
// THREADING: all methods are safe for concurrent use. Each task that runs has a goroutine,
// work, which takes another one when it has ended; Close waits for all of them.
type Backend struct {
	workers sync.WaitGroup

	// membership is held while an executor comes or goes, so that its loss and
	// its replacement are one step and are told in that order. Before mu.
	membership sync.Mutex

	mu        sync.Mutex
	events    scheduler.BackendEvents // nil before Start
	executors map[string]*executor
	order     []*executor // that were added, for Start
	closed    bool
}

// executor is an Executor that is there.
type executor struct {
	Executor

	// reporting is held while a task's end or the executor's loss is told, so that they
	// are told in the order in which they happen. Before mu.
	reporting sync.Mutex

	mu      sync.Mutex
	queue   []*launched // no slot has begun them
	lost    bool        // or the backend was closed
	slots   int         // that there should be
	made    int         // slots that there are: the last tasks of too many run still
	free    []*task.Slot
	idle    []chan *launched               // goroutines that wait for a task, the last of them at the end
	running map[scheduler.TaskID]*launched // queued ones too
}

// launched is a task of an executor.
type launched struct {
	task   scheduler.Task
	slot   *task.Slot              // nil until it begins, and when it was freed; written with the executor's mu held, by the task's goroutine once it has begun
	ctx    context.Context         // nil until a slot begins it, and kill, guarded by the executor's mu
	kill   context.CancelCauseFunc // nil until then
	freed  time.Time               // when it freed its slot, zero if it didn't: its goroutine's
	answer chan bool               // holds the answer to AskCommit; nil until it is asked, guarded by the executor's mu
}

// askCommit asks the driver whether the task may commit.
func (b *Backend) askCommit(ctx context.Context, x *executor, l *launched) error {
	x.mu.Lock()
	if l.answer == nil {
		l.answer = make(chan bool, 1)
	}
	answer := l.answer
	x.mu.Unlock()
	b.events.CommitAsked(x.ID, l.task.ID)
	select {
	case granted := <-answer:
		if !granted {
			return scheduler.ErrCommitDenied
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	}
}

// AnswerCommit implements scheduler.Backend.
func (b *Backend) AnswerCommit(executor string, id scheduler.TaskID, granted bool) {
	b.mu.Lock()
	x := b.executors[executor]
	b.mu.Unlock()
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	l := x.running[id]
	if l == nil || l.answer == nil {
		return
	}
	select {
	case l.answer <- granted:
	default: // it was told already
	}
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
		if b.executors[x.ID] == x {
			b.startExecutor(x)
		}
	}
	b.order = nil
}

// Add adds an executor. One of the same name is lost first.
func (b *Backend) Add(e Executor) {
	b.membership.Lock()
	defer b.membership.Unlock()
	b.lose(e.ID, "replaced")
	x := &executor{
		Executor: e,
		slots:    e.Slots,
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
func (b *Backend) startExecutor(x *executor) { b.events.ExecutorAdded(x.ID, x.size()) }

// Resize changes how many tasks an executor runs at once. Those that it runs go on, also if
// they are more.
func (b *Backend) Resize(id string, slots int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.executors[id]
	if x == nil || slots < 1 {
		return
	}
	if b.events != nil {
		b.events.ExecutorResized(id, slots) // before what a new slot reports
	}
	b.resize(x, slots)
}

// Slots returns how many tasks an executor runs at once, 0 if there is none of that id.
func (b *Backend) Slots(id string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if x := b.executors[id]; x != nil {
		return x.size()
	}
	return 0
}

// Lose makes an executor disappear, with its blocks and its tasks. Nothing more
// is heard of these.
func (b *Backend) Lose(id, reason string) {
	b.membership.Lock()
	defer b.membership.Unlock()
	b.lose(id, reason)
}

// lose is Lose with membership held.
func (b *Backend) lose(id, reason string) {
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
		x.reporting.Lock() // after the ends that were about to be told
		defer x.reporting.Unlock()
		events.ExecutorLost(scheduler.ExecutorLost{Executor: id, Message: reason})
	}
}

// Launch implements scheduler.Backend. A task waits while all slots are taken,
// by tasks that were killed and whose code goes on, for example. Launch reports
// nothing: its caller may hold locks that events takes.
func (b *Backend) Launch(executor string, task scheduler.Task) {
	b.mu.Lock()
	x := b.executors[executor]
	b.mu.Unlock()
	if x == nil {
		return // its loss is reported
	}
	b.enqueue(x, &launched{task: task})
}

// DropCached implements scheduler.Backend.
func (b *Backend) DropCached(rdds []lineage.ID) {
	b.mu.Lock()
	all := slices.Collect(maps.Values(b.executors))
	b.mu.Unlock()
	for _, x := range all {
		if x.DropCached != nil {
			x.DropCached(rdds)
		}
	}
}

// Kill implements scheduler.Backend. A task that no slot has begun ends at once.
func (b *Backend) Kill(executor string, id scheduler.TaskID, reason string) {
	b.mu.Lock()
	x, events := b.executors[executor], b.events
	b.mu.Unlock()
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	l := x.running[id]
	waiting := slices.Index(x.queue, l)
	switch {
	case l == nil || x.lost:
	case waiting >= 0:
		x.queue = slices.Delete(x.queue, waiting, waiting+1)
		b.workers.Go(func() { x.report(events, l, scheduler.TaskKilled{Message: reason}) }) // the caller may be in one
	case l.kill != nil: // else it was killed as it waited, which is about to be told
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

// leave ends the executor's goroutines and kills its tasks.
func (x *executor) leave(cause error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.lost {
		return
	}
	x.lost = true
	x.queue = nil
	for _, w := range x.idle {
		close(w)
	}
	x.idle = nil
	for _, l := range x.running {
		if l.kill != nil {
			l.kill(cause)
		}
	}
}

// end strikes a task off. It reports whether its end is to be told.
func (x *executor) end(l *launched) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if l.kill != nil {
		l.kill(nil) // frees the context
	}
	delete(x.running, l.task.ID)
	return !x.lost
}

// report strikes a task off and tells how it ended, unless the executor is lost.
func (x *executor) report(events scheduler.BackendEvents, l *launched, outcome scheduler.Outcome) {
	x.reporting.Lock()
	defer x.reporting.Unlock()
	if !x.end(l) {
		return
	}
	if s, ok := outcome.(scheduler.Success); ok {
		if x.Stored != nil {
			s.Stored = x.Stored()
		}
		if !l.freed.IsZero() {
			s.Freed = time.Since(l.freed)
		}
		outcome = s
	}
	events.TaskEnded(x.ID, l.task.ID, outcome)
}

// run runs one task. A panic that the runner let through is the task's failure.
func (x *executor) run(l *launched, slot *task.Slot) (outcome scheduler.Outcome) {
	defer func() {
		if v := recover(); v != nil {
			p := lineage.Recovered(v)
			outcome = scheduler.ExceptionFailure{Message: p.Cause(), Stack: p.Stack}
		}
	}()
	if l.ctx.Err() != nil {
		return scheduler.TaskKilled{Message: context.Cause(l.ctx).Error()}
	}
	return x.Runner.Run(l.ctx, l.task, slot)
}
