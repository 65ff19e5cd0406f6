package remote

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// session is one driver's stream, on the executor.
type session struct {
	server  *Server
	tasks   map[scheduler.TaskID]struct{} // that run for it; guarded by server.mu
	outputs map[uint32]*shuffle.Outputs   // of the receiving goroutine

	mu      sync.Mutex
	outbox  []*FromExecutor
	wake    chan struct{} // holds a token when there is something to do
	ended   bool
	cause   error
	greeted bool // Hello came
}

// maxOutputs bounds the map outputs that a driver may name and not forget.
const maxOutputs = 1 << 16

func newSession(s *Server) *session {
	return &session{
		server: s, tasks: make(map[scheduler.TaskID]struct{}), outputs: make(map[uint32]*shuffle.Outputs),
		wake: make(chan struct{}, 1),
	}
}

// post hands messages to send. They are bounded by the slots and the batches.
func (x *session) post(m ...*FromExecutor) {
	x.mu.Lock()
	if !x.ended {
		x.outbox = append(x.outbox, m...)
	}
	x.mu.Unlock()
	x.signal()
}

// end ends the session when what was posted is sent. The first cause counts.
func (x *session) end(cause error) {
	x.mu.Lock()
	if !x.ended {
		x.ended, x.cause = true, cause
	}
	x.mu.Unlock()
	x.signal()
}

// isOver reports whether the session has ended, and why.
func (x *session) isOver() (bool, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.ended, x.cause
}

// expire ends the session if Hello hasn't come.
func (x *session) expire() {
	x.mu.Lock()
	greeted := x.greeted
	x.mu.Unlock()
	if !greeted {
		x.end(fmt.Errorf("%w: no Hello within %s", wire.ErrMalformed, helloTimeout))
	}
}

func (x *session) signal() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// send sends what is posted until the session has ended, and returns why.
func (x *session) send(stream grpc.BidiStreamingServer[ToExecutor, FromExecutor]) error {
	var batch []*FromExecutor
	beat := time.NewTicker(wire.HeartbeatInterval)
	defer beat.Stop()
	for {
		select {
		case <-x.wake:
		case <-beat.C:
			if err := stream.Send(&FromExecutor{Alive: &wire.Alive{}}); err != nil {
				return err
			}
			continue
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
		x.mu.Lock()
		batch, x.outbox = x.outbox, batch[:0]
		ended, cause := x.ended, x.cause
		x.mu.Unlock()
		for i, m := range batch {
			if err := stream.Send(m); err != nil {
				return err
			}
			batch[i] = nil
		}
		if ended {
			return cause
		}
	}
}

// receive takes what the driver sends, and returns why it stops.
func (x *session) receive(stream grpc.BidiStreamingServer[ToExecutor, FromExecutor]) error {
	if err := x.greet(stream); err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := x.take(m); err != nil {
			return err
		}
	}
}

// greet takes Hello and the values and answers with what was built.
func (x *session) greet(stream grpc.BidiStreamingServer[ToExecutor, FromExecutor]) error {
	m, err := stream.Recv()
	if err != nil {
		return err
	}
	hello := m.Hello
	if hello == nil {
		return fmt.Errorf("%w: a driver's stream begins with Hello", wire.ErrMalformed)
	}
	var values []wire.Value
	for len(values) < hello.Values {
		if m, err = stream.Recv(); err != nil {
			return err
		}
		if m.Values == nil || m.Values.First != len(values) || len(m.Values.Values) == 0 {
			return fmt.Errorf("%w: value %d of %d was to follow", wire.ErrMalformed, len(values)+1, hello.Values)
		}
		values = append(values, m.Values.Values...)
	}
	x.mu.Lock()
	x.greeted = true
	x.mu.Unlock()

	x.server.hosting.Lock()
	defer x.server.hosting.Unlock()
	if err := x.server.admit(x, hello); err != nil {
		return err
	}
	r := x.server.host.Register(hello, values)
	x.post(&FromExecutor{Registered: r})
	if r.Failure != "" {
		return refusal(r.Failure)
	}
	x.server.log.Info("a driver has connected", "epoch", hello.Epoch)
	return nil
}

// take carries out one message.
func (x *session) take(m *ToExecutor) error {
	switch {
	case m.Launch != nil:
		return x.launch(m.Launch)
	case m.Outputs != nil:
		if len(x.outputs) >= maxOutputs {
			return fmt.Errorf("%w: more than %d map outputs", wire.ErrTooLarge, maxOutputs)
		}
		x.outputs[m.Outputs.Number] = &m.Outputs.Outputs
	case m.Kill != nil:
		x.server.slots.Kill(executorName, m.Kill.ID, m.Kill.Reason)
	case m.Commit != nil:
		x.server.slots.AnswerCommit(executorName, m.Commit.ID, m.Commit.Granted)
	case m.Invoke != nil:
		x.hosted(func(h Host) { x.post(&FromExecutor{Invoked: h.Invoke(m.Invoke)}) })
	case m.Hold != nil:
		x.hosted(func(h Host) {
			h.Hold(m.Hold, func(held *Held) { x.post(&FromExecutor{Held: held}) })
		})
	case m.Forget != nil:
		for n, outs := range x.outputs {
			if outs.Batch < m.Forget.Until {
				delete(x.outputs, n)
			}
		}
		x.hosted(func(h Host) { h.Forget(m.Forget.Until) })
	default:
		return fmt.Errorf("%w: the driver sent a message that has no place here", wire.ErrMalformed)
	}
	return nil
}

// hosted calls the host, unless the session no longer drives.
func (x *session) hosted(f func(Host)) {
	x.server.hosting.Lock()
	defer x.server.hosting.Unlock()
	if x.server.drives(x) {
		f(x.server.host)
	}
}

// launch starts a task with what it reads.
func (x *session) launch(m *Launch) error {
	task := scheduler.Task{ID: m.ID}
	for _, n := range m.Inputs {
		outs := x.outputs[n]
		if outs == nil {
			return fmt.Errorf("%w: %s reads map outputs %d, which weren't named", wire.ErrMalformed, m.ID, n)
		}
		task.Inputs = append(task.Inputs, outs)
	}
	return x.server.launch(x, task)
}
