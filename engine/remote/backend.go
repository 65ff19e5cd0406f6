package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/scheduler"
)

// Backend reaches the job executor processes of a job. It implements
// scheduler.Backend.
//
// THREADING: all methods are safe for concurrent use and don't block, but for
// Close. Each member has a goroutine, link.run, that Close waits for. mu guards who
// the members are; what executors are told and who is there is kept in common.
type Backend struct {
	common
	cancel context.CancelCauseFunc
	links  sync.WaitGroup

	mu      sync.Mutex
	wanted  []wire.ExecutorProcess // last SetMembers
	members map[string]*link       // by name
	ending  map[string]*link       // that left and may still report their loss, by name
}

// NewBackend returns a backend without members.
func NewBackend(cfg Config) *Backend {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &Backend{
		common: common{cfg: cfg, ctx: ctx, silence: maxSilence, briefing: newBriefing(newRecord(cfg.Dir, maxRecordMemory)), attendance: newAttendance(), reception: newReception()},
		cancel: cancel, members: make(map[string]*link), ending: make(map[string]*link),
	}
}

// Start implements scheduler.Backend.
func (b *Backend) Start(events scheduler.BackendEvents) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = observe(events, b.cfg.Troubles)
	b.reconcile()
}

// SetMembers says which executor processes the job has, in place of what was
// said before, and how many executors should have one.
func (b *Backend) SetMembers(m wire.Members) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wanted = slices.Clone(m.Processes)
	b.attendance.expect(m.Awaited(), m.Expected)
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
		if l := b.members[name]; l != nil {
			l.share(p.Slots)
			continue
		}
		l, err := newLink(&b.common, name, p)
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
		l.out.post(&ToExecutor{Commit: &CommitAnswer{ID: id, Granted: granted}})
	}
}

// Kill implements scheduler.Backend.
func (b *Backend) Kill(executor string, id scheduler.TaskID, reason string) {
	if l := b.member(executor); l != nil {
		l.out.post(&ToExecutor{Kill: &KillTask{ID: id, Reason: reason}})
	}
}

// DropCached implements scheduler.Backend.
func (b *Backend) DropCached(rdds []lineage.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.members {
		l.out.post(&ToExecutor{DropCached: &DropCached{RDDs: rdds}})
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
	return b.briefing.invoke(&Invoke{Seq: seq, Invocation: invocation})
}

// Forget drops what executors keep of the batches before until.
func (b *Backend) Forget(until, keep uint64) {
	if err := b.briefing.forget(Forget{until, keep}); err != nil {
		b.cfg.Logger.Warn("what is kept for executors that come later isn't dropped for now", "err", err)
	}
}

// ForgetShuffles says that no task will read some of a batch's shuffles any more, so that
// nobody keeps where their outputs are. Who drops the outputs is the executors' business.
func (b *Backend) ForgetShuffles(batch uint64, shuffles []int) {
	b.briefing.forgetShuffles(&ForgetShuffles{Batch: batch, Shuffles: shuffles})
}

// Ready returns the number of executors that take tasks.
func (b *Backend) Ready() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, l := range b.members {
		if l.ready.Load() {
			n++
		}
	}
	return n
}

// Await waits until as many executors as are expected take tasks or refuse to,
// so that the first batch finds them all; or until ctx ends.
func (b *Backend) Await(ctx context.Context) {
	for {
		changed := b.attendance.changed.next()
		if b.attendance.isComplete(b.Ready()) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// Close ends the streams and waits for their goroutines. Executors kill what
// still runs.
func (b *Backend) Close() {
	b.cancel(ErrClosed)
	b.links.Wait()
	if err := b.briefing.invocations.close(); err != nil {
		b.cfg.Logger.Warn("closing what was kept for executors that come later", "err", err)
	}
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
