package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/scheduler"
)

// common is what a backend and its links share. It doesn't change once there are
// links; what is in it has locks of its own.
type common struct {
	cfg        Config
	ctx        context.Context         // ends with Close
	silence    time.Duration           // of an executor, after which it is lost
	events     scheduler.BackendEvents // nil before Start
	briefing   *briefing
	attendance *attendance
	reception  *reception
}

// link is the driver's connection to one job executor process. It connects
// until it is cancelled or there is no point in it.
//
// THREADING: run is the link's goroutine; it starts one that sends while there
// is a stream and waits for it. What others ask of a link goes to its outbox and its
// holdings, each with a lock of its own.
type link struct {
	*common
	name    string
	process wire.ExecutorProcess
	cc      *grpc.ClientConn
	ctx     context.Context
	cancel  context.CancelCauseFunc
	done    chan struct{} // closed when nothing more is reported

	ready    atomic.Bool // the executor takes tasks, and the scheduler knows of it
	out      *outbox
	holdings holdings
	grant    grant
}

// Times of a link.
const (
	// registerTimeout bounds an executor's build of the program.
	registerTimeout = 2 * time.Minute
	firstRetry      = 50 * time.Millisecond
	lastRetry       = time.Second
)

func newLink(c *common, name string, p wire.ExecutorProcess) (*link, error) {
	cc, err := rpc.Dial(p.Address, c.cfg.Security)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(c.ctx)
	l := &link{common: c, name: name, process: p, cc: cc, ctx: ctx, cancel: cancel, done: make(chan struct{}), out: newOutbox()}
	l.grant.share = p.Slots
	return l, nil
}

// run keeps a stream to the executor.
func (l *link) run() {
	defer func() { _ = l.cc.Close() }() // nothing is written that could be lost
	defer l.cancel(nil)
	log, began := l.cfg.Logger, time.Now()
	defer l.trouble("")
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		wasReady, err := l.stream()
		if cause := context.Cause(l.ctx); cause != nil {
			err = cause
		}
		if wasReady {
			l.lost(err)
			wait, began = firstRetry, time.Now()
		}
		if l.ctx.Err() != nil {
			return
		}
		why, isRefusal := errors.AsType[refusal](err)
		fatal, isFatal := errors.AsType[*fatalError](err)
		switch {
		case errors.Is(err, wire.ErrStaleEpoch):
			l.cfg.Failed(fmt.Errorf("%w: executor %s: %w", ErrDeposed, l.name, err))
			return
		case isRefusal:
			l.giveUp(string(why))
			return
		case isFatal:
			l.cfg.Failed(fatal.err)
			return
		}
		log.Debug("connecting to an executor again", "executor", l.name, "cause", err, "in", wait)
		if time.Since(began) >= slowLink {
			l.trouble(fmt.Sprintf("executor %s has taken no tasks for %s: %s", l.process.Executor, time.Since(began).Round(time.Second), firstLine(rpc.Brief(err))))
		}
		select {
		case <-time.After(wait):
		case <-l.ctx.Done():
			return
		}
	}
}

// trouble says what is wrong with the executor, "" for nothing.
func (l *link) trouble(text string) {
	if l.cfg.Troubles != nil {
		l.cfg.Troubles.Executor(l.process.Executor, text)
	}
}

// stream opens a stream and serves it until it breaks. It reports whether the
// executor became ready.
func (l *link) stream() (ready bool, err error) {
	ctx, cancel := context.WithCancelCause(l.ctx)
	defer cancel(nil)
	late := time.AfterFunc(registerTimeout, func() {
		cancel(fmt.Errorf("the executor didn't register within %s", registerTimeout))
	})
	defer late.Stop()
	silence := l.silence
	silent := time.AfterFunc(silence, func() { cancel(fmt.Errorf("%w for %s", errSilent, silence)) })
	defer silent.Stop()
	work, err := TasksClient{CC: l.cc}.Work(ctx)
	if err != nil {
		return false, causeOf(ctx, err)
	}
	s := driverEnd(heardStream{work, silent, silence})
	registered, err := l.register(s)
	if err != nil {
		return false, causeOf(ctx, err)
	}
	late.Stop()
	l.admit(registered)
	var sender sync.WaitGroup
	sender.Go(func() {
		// io.EOF means that the stream has ended; receive learns why.
		if err := l.out.send(ctx, s); err != nil && !errors.Is(err, io.EOF) {
			cancel(err)
		}
	})
	err = causeOf(ctx, l.receive(s))
	l.ready.Store(false)
	l.reception.leave(l, rpc.Brief(err))
	l.attendance.leave()
	l.grant.end()
	l.briefing.leave(l)
	l.out.shut()
	cancel(nil)
	sender.Wait()
	return true, err
}

// register introduces the driver and takes the executor's answer.
func (l *link) register(s *end[ToExecutor, FromExecutor]) (*Registered, error) {
	cfg := &l.cfg
	messages := []*ToExecutor{{Hello: &Hello{
		Incarnation: cfg.Incarnation, Epoch: cfg.Epoch, Executor: l.process.Executor, Header: cfg.Header, Values: len(cfg.Values),
		Hold: l.briefing.holding(),
	}}}
	for i := range cfg.Values { // each may be as large as a message can carry
		messages = append(messages, &ToExecutor{Values: &Values{First: i, Values: cfg.Values[i : i+1]}})
	}
	for _, m := range messages {
		if err := s.send(m); err != nil {
			break // receive says why
		}
	}
	m, err := hear(s)
	if err != nil {
		return nil, err
	}
	r := m.Registered
	switch {
	case r == nil:
		return nil, fmt.Errorf("%w: the executor didn't register first", wire.ErrMalformed)
	case r.Failure != "":
		return nil, refusal(r.Failure)
	case r.Slots < 1:
		return nil, fmt.Errorf("%w: the executor registered with %d slots", wire.ErrMalformed, r.Slots)
	}
	if err := cfg.Check(l.name, r); err != nil {
		return nil, &fatalError{err}
	}
	return r, nil
}

// admit makes a registered executor ready: it is told of the batches in flight
// before the scheduler may launch tasks there, and counts when the scheduler knows.
func (l *link) admit(r *Registered) {
	l.attendance.accept(l.process.Executor)
	l.holdings.begin(r.Held)
	l.briefing.join(l)
	l.grant.begin(r.Slots, func(slots int) {
		l.out.post(&ToExecutor{Slots: &Slots{slots}})
		l.events.ExecutorAdded(l.name, slots)
	})
	l.events.Stored(l.name, r.Stored)
	l.ready.Store(true)
	l.attendance.changed.wake()
	l.reception.join(l)
	l.trouble("")
}

// share takes how many slots the job has on the executor from now on.
func (l *link) share(slots int) {
	l.grant.change(slots, func(slots int) {
		l.out.post(&ToExecutor{Slots: &Slots{slots}}) // before what is launched for it
		l.events.ExecutorResized(l.name, slots)
	})
}

// lost reports that an executor that was ready is gone.
func (l *link) lost(cause error) {
	if l.common.ctx.Err() != nil {
		return
	}
	l.attendance.changed.wake()
	l.events.ExecutorLost(scheduler.ExecutorLost{Executor: l.name, Message: rpc.Brief(cause)})
}

// giveUp says that the executor can't build the program. The job fails when none
// can.
func (l *link) giveUp(reason string) {
	l.cfg.Logger.Error("an executor can't build the program", "executor", l.name, "cause", reason)
	if hopeless, ids := l.attendance.refuse(l.process.Executor, reason); hopeless {
		l.cfg.Failed(fmt.Errorf("%w: the driver built it, and building it failed on %s: %s", ErrNoExecutor, strings.Join(ids, ", "), reason))
	}
}

// open implements listener: it makes the link take messages.
func (l *link) open(hold *Hold, f Forget, invocations *recordReader, n int) {
	var first []*ToExecutor
	if hold != nil {
		l.holdings.want(hold.Versions)
		first = append(first, &ToExecutor{Hold: hold})
	}
	if f != (Forget{}) {
		first = append(first, &ToExecutor{Forget: &f})
	}
	l.out.open(invocations, append(first, make([]*ToExecutor, n)...)...)
}

// hold implements listener.
func (l *link) hold(h *Hold) {
	l.holdings.change(h.Versions)
	l.out.post(&ToExecutor{Hold: h})
}

// invoke implements listener.
func (l *link) invoke() { l.out.post(nil) }

// forget implements listener.
func (l *link) forget(f Forget) { l.out.forget(f) }

// forgetShuffles implements listener.
func (l *link) forgetShuffles(f *ForgetShuffles) { l.out.forgetShuffles(f) }

// String returns the executor's name.
func (l *link) String() string { return l.name }

// receiveFor says which inputs' receivers the executor runs.
func (l *link) receiveFor(inputs []int32) { l.out.post(&ToExecutor{Receive: &Receive{Inputs: inputs}}) }

// launch starts a task, or says at once why it can't be described to the executor.
func (l *link) launch(task scheduler.Task) {
	for _, outs := range task.Inputs {
		if err := sendable(outs); err != nil {
			l.events.TaskEnded(l.name, task.ID, scheduler.ExceptionFailure{Message: err.Error()})
			return
		}
	}
	l.out.launch(task)
}

// receive takes what the executor sends until the stream breaks.
func (l *link) receive(s *end[ToExecutor, FromExecutor]) error {
	results := results{limit: l.cfg.MaxResultBytes}
	for {
		m, err := hear(s)
		if err != nil {
			return err
		}
		switch {
		case m.Ended != nil:
			l.events.TaskEnded(l.name, m.Ended.ID, results.outcome(m.Ended))
		case m.Commit != nil:
			l.events.CommitAsked(l.name, m.Commit.ID)
		case m.Part != nil:
			results.add(m.Part)
		case m.Held != nil:
			l.holdings.answer(*m.Held)
			l.attendance.changed.wake()
		case m.Received != nil:
			l.reception.heard(l, m.Received)
		case m.Invoked != nil:
			l.cfg.Diverged(l.name, m.Invoked)
		default:
			return fmt.Errorf("%w: the executor sent an empty message", wire.ErrMalformed)
		}
	}
}
