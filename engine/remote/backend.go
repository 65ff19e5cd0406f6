package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/scheduler"
)

// Config is what a Backend needs to know of its job.
type Config struct {
	Incarnation, Epoch uint64
	Header             []byte            // for executors, opaque here
	Values             []wire.Value      // recorded values that the program's build needs
	Security           security.Security // with the job's secret
	MaxResultBytes     int64             // of one task
	Logger             *slog.Logger

	// Check compares what an executor built with what the driver did. Its error
	// fails the job.
	Check func(executor string, r *Registered) error
	// Diverged is told of an executor that couldn't generate a batch alike.
	Diverged func(executor string, r *Invoked)
	// Failed is told why the job can't go on. It is called at most once for each
	// executor and doesn't block, like the other two.
	Failed func(err error)
}

// Backend reaches the job executor processes of a job. It implements
// scheduler.Backend.
//
// THREADING: all methods are safe for concurrent use and don't block, but for
// Close. Each member has a goroutine, link.run, that Close waits for.
type Backend struct {
	cfg     Config
	ctx     context.Context // ends with Close
	cancel  context.CancelCauseFunc
	links   sync.WaitGroup
	silence time.Duration // of an executor, after which it is lost

	mu          sync.Mutex
	events      scheduler.BackendEvents // nil before Start
	wanted      []wire.ExecutorProcess  // last SetMembers
	expected    int
	members     map[string]*link // by name
	ending      map[string]*link // that left and may still report their loss, by name
	invocations []*Invoke        // not forgotten, ascending
	hold        *Hold            // models that executors are to have; nil before the first
	refused     map[string]string
	refusals    int
	changed     chan struct{} // closed and replaced when an executor comes or is refused
}

// maxRefusals is how often in all executors may say that they can't build the
// program before the job is given up, if none of them can.
const maxRefusals = 3

// NewBackend returns a backend without members.
func NewBackend(cfg Config) *Backend {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &Backend{
		cfg: cfg, ctx: ctx, cancel: cancel, members: make(map[string]*link), ending: make(map[string]*link),
		refused: make(map[string]string), changed: make(chan struct{}), silence: maxSilence,
	}
}

// Start implements scheduler.Backend.
func (b *Backend) Start(events scheduler.BackendEvents) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = events
	b.reconcile()
}

// SetMembers says which executor processes the job has, in place of what was
// said before, and how many executors should have one.
func (b *Backend) SetMembers(processes []wire.ExecutorProcess, expected int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wanted, b.expected = slices.Clone(processes), expected
	b.note()
	b.reconcile()
}

// reconcile makes members what is wanted. It is called with mu held.
func (b *Backend) reconcile() {
	if b.events == nil || b.ctx.Err() != nil {
		return
	}
	names := make(map[string]bool, len(b.wanted))
	for _, p := range b.wanted {
		name := Name(p)
		names[name] = true
		if b.members[name] != nil {
			continue
		}
		l, err := newLink(b, name, p)
		if err != nil {
			b.cfg.Logger.Error("an executor can't be reached", "executor", name, "err", err)
			continue
		}
		b.members[name] = l
		before := b.ending[name]
		b.links.Go(func() { b.keep(l, before) })
	}
	for name, l := range b.members {
		if !names[name] {
			delete(b.members, name)
			b.ending[name] = l
			l.cancel(errors.New("its process has ended"))
		}
	}
}

// keep runs a link, after the one before it under the same name has reported its
// loss.
func (b *Backend) keep(l, before *link) {
	if before != nil {
		<-before.done // it was cancelled
	}
	l.run()
	b.mu.Lock()
	defer b.mu.Unlock()
	close(l.done)
	if b.ending[l.name] == l {
		delete(b.ending, l.name)
	}
}

// Launch implements scheduler.Backend.
func (b *Backend) Launch(executor string, task scheduler.Task) {
	if l := b.member(executor); l != nil {
		l.launch(task)
	}
}

// AnswerCommit implements scheduler.Backend.
func (b *Backend) AnswerCommit(executor string, id scheduler.TaskID, granted bool) {
	if l := b.member(executor); l != nil {
		l.post(&ToExecutor{Commit: &CommitAnswer{ID: id, Granted: granted}})
	}
}

// Kill implements scheduler.Backend.
func (b *Backend) Kill(executor string, id scheduler.TaskID, reason string) {
	if l := b.member(executor); l != nil {
		l.post(&ToExecutor{Kill: &KillTask{ID: id, Reason: reason}})
	}
}

func (b *Backend) member(name string) *link {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.members[name]
}

// Invoke tells the executors of a batch, and those that come later, until it is
// forgotten. Tasks of the batch are launched after it.
func (b *Backend) Invoke(seq uint64, invocation []byte) error {
	if len(invocation) > wire.MaxPayload {
		return fmt.Errorf("%w: what describes batch %d takes %d bytes, at most %d can be sent; plan fewer ranges", wire.ErrTooLarge, seq, len(invocation), wire.MaxPayload)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	inv := &Invoke{Seq: seq, Invocation: invocation}
	b.invocations = append(b.invocations, inv)
	for _, l := range b.members {
		l.post(&ToExecutor{Invoke: inv})
	}
	return nil
}

// Forget drops what executors keep of the batches before until.
func (b *Backend) Forget(until uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.invocations = slices.DeleteFunc(b.invocations, func(i *Invoke) bool { return i.Seq < until })
	for _, l := range b.members {
		l.forget(until)
	}
}

// Ready returns the number of executors that take tasks.
func (b *Backend) Ready() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready()
}

func (b *Backend) ready() int {
	n := 0
	for _, l := range b.members {
		if l.isReady() {
			n++
		}
	}
	return n
}

// Await waits until as many executors as are expected take tasks or refuse to,
// so that the first batch finds them all; or until ctx ends.
func (b *Backend) Await(ctx context.Context) {
	for {
		b.mu.Lock()
		there := b.expected > 0 && b.ready()+len(b.refused) >= b.expected
		changed := b.changed
		b.mu.Unlock()
		if there {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// note wakes those who await a change. It is called with mu held.
func (b *Backend) note() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// Close ends the streams and waits for their goroutines. Executors kill what
// still runs.
func (b *Backend) Close() {
	b.cancel(ErrClosed)
	b.links.Wait()
}

// admit makes a registered executor ready: it is told of the batches in flight
// before the scheduler may launch tasks there.
func (b *Backend) admit(l *link, r *Registered) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.refused, l.process.Executor)
	l.models = make(map[ModelVersion]string)
	for _, h := range r.Held {
		l.models[h.Version] = h.Failure
	}
	l.open(b.hold, b.invocations)
	b.events.ExecutorAdded(l.name, r.Slots)
	b.note()
}

// lost reports that an executor that was ready is gone.
func (b *Backend) lost(l *link, cause error) {
	if b.ctx.Err() != nil {
		return
	}
	b.mu.Lock()
	b.note()
	b.mu.Unlock()
	b.events.ExecutorLost(scheduler.ExecutorLost{Executor: l.name, Message: cause.Error()})
}

// Died tells of an executor process that ended by itself: what ran there may be to
// blame. The link may have lost it already, or is about to.
func (b *Backend) Died(d wire.ProcessDied) {
	b.mu.Lock()
	events := b.events
	b.mu.Unlock()
	if events != nil && b.ctx.Err() == nil {
		events.ExecutorLost(scheduler.ExecutorLost{Executor: NameOf(d.Executor, d.Address), Message: d.Status, LastWords: d.LastWords, ByTask: true})
	}
}

// refuse notes an executor that can't build the program. The job fails when
// none can.
func (b *Backend) refuse(l *link, reason string) {
	b.cfg.Logger.Error("an executor can't build the program", "executor", l.name, "cause", reason)
	b.mu.Lock()
	b.refused[l.process.Executor] = reason
	b.refusals++
	b.note()
	hopeless := b.refusals >= maxRefusals && len(b.refused) >= b.expected
	ids := make([]string, 0, len(b.refused))
	for id := range b.refused {
		ids = append(ids, id)
	}
	b.mu.Unlock()
	if hopeless {
		slices.Sort(ids)
		b.cfg.Failed(fmt.Errorf("%w: the driver built it, and building it failed on %s: %s", ErrNoExecutor, strings.Join(ids, ", "), reason))
	}
}
