package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// link is the driver's connection to one job executor process. It connects
// until it is cancelled or there is no point in it.
//
// THREADING: run is the link's goroutine; it starts one that sends while there
// is a stream and waits for it. Others post messages under mu.
type link struct {
	backend *Backend
	name    string
	process wire.ExecutorProcess
	cc      *grpc.ClientConn
	ctx     context.Context
	cancel  context.CancelCauseFunc
	done    chan struct{} // closed when nothing more is reported

	// models are the versions that the executor has answered for on this stream,
	// and why it can't load one, "" if it has. Guarded by the backend's mu.
	models map[ModelVersion]string

	mu     sync.Mutex
	ready  bool // registered: messages are taken
	outbox []*ToExecutor
	wake   chan struct{}               // holds a token when the outbox isn't empty
	sent   map[*shuffle.Outputs]uint32 // numbers of what the executor was told on this stream
	number uint32
}

// Times of a link.
const (
	// registerTimeout bounds an executor's build of the program.
	registerTimeout = 2 * time.Minute
	firstRetry      = 50 * time.Millisecond
	lastRetry       = time.Second
)

func newLink(b *Backend, name string, p wire.ExecutorProcess) (*link, error) {
	cc, err := rpc.Dial(p.Address, b.cfg.Security)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(b.ctx)
	return &link{backend: b, name: name, process: p, cc: cc, ctx: ctx, cancel: cancel, wake: make(chan struct{}, 1), done: make(chan struct{})}, nil
}

// refusal is the error of a stream to an executor that can't build the program.
type refusal string

func (r refusal) Error() string { return string(r) }

// run keeps a stream to the executor.
func (l *link) run() {
	defer func() { _ = l.cc.Close() }() // nothing is written that could be lost
	defer l.cancel(nil)
	log := l.backend.cfg.Logger
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		wasReady, err := l.stream()
		if cause := context.Cause(l.ctx); cause != nil {
			err = cause
		}
		if wasReady {
			l.backend.lost(l, err)
			wait = firstRetry
		}
		if l.ctx.Err() != nil {
			return
		}
		why, isRefusal := errors.AsType[refusal](err)
		fatal, isFatal := errors.AsType[*fatalError](err)
		switch {
		case errors.Is(err, wire.ErrStaleEpoch):
			l.backend.cfg.Failed(fmt.Errorf("%w: executor %s: %w", ErrDeposed, l.name, err))
			return
		case isRefusal:
			l.backend.refuse(l, string(why))
			return
		case isFatal:
			l.backend.cfg.Failed(fatal.err)
			return
		}
		log.Debug("connecting to an executor again", "executor", l.name, "cause", err, "in", wait)
		select {
		case <-time.After(wait):
		case <-l.ctx.Done():
			return
		}
	}
}

// fatalError fails the job.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }

// stream opens a stream and serves it until it breaks. It reports whether the
// executor became ready.
func (l *link) stream() (ready bool, err error) {
	ctx, cancel := context.WithCancelCause(l.ctx)
	defer cancel(nil)
	late := time.AfterFunc(registerTimeout, func() {
		cancel(fmt.Errorf("the executor didn't register within %s", registerTimeout))
	})
	defer late.Stop()
	silence := l.backend.silence
	silent := time.AfterFunc(silence, func() { cancel(fmt.Errorf("%w for %s", errSilent, silence)) })
	defer silent.Stop()
	work, err := TasksClient{CC: l.cc}.Work(ctx)
	if err != nil {
		return false, causeOf(ctx, err)
	}
	s := heardStream{work, silent, silence}
	registered, err := l.register(s)
	if err != nil {
		return false, causeOf(ctx, err)
	}
	late.Stop()
	l.backend.admit(l, registered)
	var sender sync.WaitGroup
	sender.Go(func() {
		// io.EOF means that the stream has ended; receive learns why.
		if err := l.send(ctx, s); err != nil && !errors.Is(err, io.EOF) {
			cancel(err)
		}
	})
	err = causeOf(ctx, l.receive(s))
	l.shut()
	cancel(nil)
	sender.Wait()
	return true, err
}

// register introduces the driver and takes the executor's answer.
func (l *link) register(s grpc.BidiStreamingClient[ToExecutor, FromExecutor]) (*Registered, error) {
	cfg := &l.backend.cfg
	messages := []*ToExecutor{{Hello: &Hello{
		Incarnation: cfg.Incarnation, Epoch: cfg.Epoch, Executor: l.process.Executor, Header: cfg.Header, Values: len(cfg.Values),
		Hold: l.backend.holding(),
	}}}
	for i := range cfg.Values { // each may be as large as a message can carry
		messages = append(messages, &ToExecutor{Values: &Values{First: i, Values: cfg.Values[i : i+1]}})
	}
	for _, m := range messages {
		if err := s.Send(m); err != nil {
			break // Recv says why
		}
	}
	m, err := s.Recv()
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

// open makes the link take messages, first what it lacks of the models and the
// batches in flight.
func (l *link) open(hold *Hold, invocations []*Invoke) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready, l.sent, l.number = true, make(map[*shuffle.Outputs]uint32), 0
	if hold != nil {
		l.push(&ToExecutor{Hold: hold})
	}
	for _, i := range invocations {
		l.push(&ToExecutor{Invoke: i})
	}
}

// shut drops what wasn't sent and takes nothing more.
func (l *link) shut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready, l.outbox, l.sent = false, nil, nil
}

func (l *link) isReady() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ready
}

// post hands a message to the sender, unless there is no stream. What can be
// posted is bounded by the executor's slots and the batches in flight.
func (l *link) post(m *ToExecutor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ready {
		l.push(m)
	}
}

// push is called with mu held.
func (l *link) push(m *ToExecutor) {
	l.outbox = append(l.outbox, m)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// launch posts a task, after what it reads, if that is new to the executor.
func (l *link) launch(task scheduler.Task) {
	for _, outs := range task.Inputs {
		if err := sendable(outs); err != nil {
			l.backend.events.TaskEnded(l.name, task.ID, scheduler.ExceptionFailure{Message: err.Error()})
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ready {
		return // its loss is reported
	}
	m := &Launch{ID: task.ID}
	for _, outs := range task.Inputs {
		n, known := l.sent[outs]
		if !known {
			l.number++
			n = l.number
			l.sent[outs] = n
			l.push(&ToExecutor{Outputs: &MapOutputs{Number: n, Outputs: *outs}})
		}
		m.Inputs = append(m.Inputs, n)
	}
	l.push(&ToExecutor{Launch: m})
}

// maxSizes bounds the sizes of blocks in one message: map times reduce partitions.
const maxSizes = wire.MaxPayload / 8

// sendable makes sure that map outputs fit into a message.
func sendable(outs *shuffle.Outputs) error {
	sizes := 0
	for i := range outs.Maps {
		sizes += len(outs.Maps[i].Bytes)
	}
	if sizes > maxSizes {
		return fmt.Errorf("%w: shuffle %d of batch %d has %d map partitions and %d blocks, at most %d can be described to executors; use fewer partitions",
			wire.ErrTooLarge, outs.Shuffle, outs.Batch, len(outs.Maps), sizes, maxSizes)
	}
	return nil
}

// forget posts that batches are no longer needed.
func (l *link) forget(until uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ready {
		return
	}
	for outs := range l.sent {
		if outs.Batch < until {
			delete(l.sent, outs)
		}
	}
	l.push(&ToExecutor{Forget: &Forget{Until: until}})
}

// send sends what is posted until ctx ends or the stream breaks.
func (l *link) send(ctx context.Context, s grpc.BidiStreamingClient[ToExecutor, FromExecutor]) error {
	var batch []*ToExecutor
	for {
		select {
		case <-l.wake:
		case <-ctx.Done():
			return nil
		}
		l.mu.Lock()
		batch, l.outbox = l.outbox, batch[:0]
		l.mu.Unlock()
		for i, m := range batch {
			if err := s.Send(m); err != nil {
				return err
			}
			batch[i] = nil
		}
	}
}

// receive takes what the executor sends until the stream breaks.
func (l *link) receive(s grpc.BidiStreamingClient[ToExecutor, FromExecutor]) error {
	results := results{limit: l.backend.cfg.MaxResultBytes}
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		switch {
		case m.Ended != nil:
			l.backend.events.TaskEnded(l.name, m.Ended.ID, results.outcome(m.Ended))
		case m.Commit != nil:
			l.backend.events.CommitAsked(l.name, m.Commit.ID)
		case m.Part != nil:
			results.add(m.Part)
		case m.Held != nil:
			l.backend.held(l, *m.Held)
		case m.Invoked != nil:
			if m.Invoked.Failure != "" {
				l.backend.cfg.Diverged(l.name, m.Invoked)
			}
		default:
			return fmt.Errorf("%w: the executor sent an empty message", wire.ErrMalformed)
		}
	}
}
