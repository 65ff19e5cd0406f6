package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/scheduler"
	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// Work implements remote.TasksServer.
func (s *Server) Work(stream grpc.BidiStreamingServer[Several[ToExecutor], Several[FromExecutor]]) error {
	sess, messages := newSession(), executorEnd(stream)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.receivers.Go(func() { // ends with the stream
		x := &receiver{server: s, session: sess, ctx: stream.Context(), outputs: make(map[uint32]*shuffle.Outputs), inputs: make(map[int32]context.CancelFunc)}
		err := x.receive(messages)
		s.note(err)
		sess.end(err)
	})
	s.mu.Unlock()
	late := time.AfterFunc(helloTimeout, sess.expire)
	defer late.Stop()
	err := sess.send(stream.Context(), messages)
	s.leave(sess, err)
	if _, ok := errors.AsType[refusal](err); ok {
		return nil // the answer said it
	}
	return err
}

// receiver takes what a driver sends on a session's stream. One goroutine uses it.
type receiver struct {
	server  *Server
	session *session
	ctx     context.Context              // of the stream, with which Work ends
	outputs map[uint32]*shuffle.Outputs  // that the driver has named
	inputs  map[int32]context.CancelFunc // that are received for
}

// maxOutputs bounds the map outputs that a driver may name and not forget.
const maxOutputs = 1 << 16

// receive takes what the driver sends, and returns why it stops.
func (x *receiver) receive(s *end[FromExecutor, ToExecutor]) error {
	if err := x.greet(s); err != nil {
		return err
	}
	for {
		m, err := s.receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if m.Invoke != nil { // not while hosting is locked: the next driver may come meanwhile
			if err := x.server.host.Room(x.ctx); err != nil {
				return err
			}
		}
		if err := x.take(m); err != nil {
			return err
		}
	}
}

// greet takes Hello and the values and answers with what was built.
func (x *receiver) greet(s *end[FromExecutor, ToExecutor]) error {
	m, err := s.receive()
	if err != nil {
		return err
	}
	hello := m.Hello
	if hello == nil {
		return fmt.Errorf("%w: a driver's stream begins with Hello", wire.ErrMalformed)
	}
	var values []wire.Value
	for len(values) < hello.Values {
		if m, err = s.receive(); err != nil {
			return err
		}
		if m.Values == nil || m.Values.First != len(values) || len(m.Values.Values) == 0 {
			return fmt.Errorf("%w: value %d of %d was to follow", wire.ErrMalformed, len(values)+1, hello.Values)
		}
		values = append(values, m.Values.Values...)
	}
	x.session.greet()

	x.server.hosting.Lock()
	defer x.server.hosting.Unlock()
	if err := x.server.admit(x.session, hello); err != nil {
		return err
	}
	r := x.server.host.Register(hello, values)
	if r.Failure == "" {
		x.session.tellStored(x.server.host.Stored())
	}
	x.session.post(&FromExecutor{Registered: r})
	if r.Failure != "" {
		return refusal(r.Failure)
	}
	x.server.log.Info("a driver has connected", "epoch", hello.Epoch)
	return nil
}

// take carries out one message.
func (x *receiver) take(m *ToExecutor) error {
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
		x.hosted(func(h Host) {
			h.Invoke(m.Invoke, func(answer *Invoked) { x.session.post(&FromExecutor{Invoked: answer}) })
		})
	case m.Hold != nil:
		x.hosted(func(h Host) {
			h.Hold(m.Hold, func(held *Held) { x.session.post(&FromExecutor{Held: held}) })
		})
	case m.ForgetShuffles != nil:
		for n, outs := range x.outputs {
			if m.ForgetShuffles.covers(outs) {
				delete(x.outputs, n)
			}
		}
	case m.Slots != nil:
		return x.server.resize(x.session, m.Slots.Slots)
	case m.Receive != nil:
		return x.receiveFor(m.Receive.Inputs)
	case m.DropCached != nil:
		x.hosted(func(h Host) { h.DropCached(m.DropCached.RDDs) })
	case m.Forget != nil:
		for n, outs := range x.outputs {
			if outs.Batch < m.Forget.Until {
				delete(x.outputs, n)
			}
		}
		x.hosted(func(h Host) { h.Forget(*m.Forget) })
	default:
		return fmt.Errorf("%w: the driver sent a message that has no place here", wire.ErrMalformed)
	}
	return nil
}

// hosted calls the host, unless the session no longer drives.
func (x *receiver) hosted(f func(Host)) {
	x.server.hosting.Lock()
	defer x.server.hosting.Unlock()
	if x.server.fence.drives(x.session) {
		f(x.server.host)
	}
}

// receiveFor begins to receive for inputs and ends to for others.
func (x *receiver) receiveFor(inputs []int32) error {
	for input, end := range x.inputs {
		if !slices.Contains(inputs, input) {
			end()
			delete(x.inputs, input)
		}
	}
	return x.server.fence.whileDriving(x.session, func(uint64) error {
		for _, input := range inputs {
			if x.inputs[input] != nil {
				continue
			}
			ctx, end := context.WithCancel(x.ctx)
			x.inputs[input] = end
			x.server.inputs.Go(func() { // ends with the stream at the latest
				defer end()
				x.server.host.Receive(ctx, input, func(message []byte) {
					x.session.post(&FromExecutor{Received: &Received{Input: input, Message: message}})
				})
				x.session.post(&FromExecutor{Received: &Received{Input: input, Ended: true}})
			})
		}
		return nil
	})
}

// launch starts a task with what it reads.
func (x *receiver) launch(m *Launch) error {
	task := scheduler.Task{ID: m.ID, Elsewhere: m.Elsewhere}
	for _, n := range m.Inputs {
		outs := x.outputs[n]
		if outs == nil {
			return fmt.Errorf("%w: %s reads map outputs %d, which weren't named", wire.ErrMalformed, m.ID, n)
		}
		task.Inputs = append(task.Inputs, outs)
	}
	return x.server.launch(x.session, task)
}
