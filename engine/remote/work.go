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
	s.streams.Go(func() { // ends with the stream
		x := &driverStream{server: s, session: sess, outputs: make(map[uint32]*shuffle.Outputs), receiving: make(map[int32]context.CancelFunc)}
		err := x.receive(stream.Context(), messages)
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

// driverStream takes what a driver sends on a session's stream. One goroutine uses it.
type driverStream struct {
	server    *Server
	session   *session
	outputs   map[uint32]*shuffle.Outputs  // that the driver has named
	receiving map[int32]context.CancelFunc // ends the receivers of inputs that were begun
}

// maxOutputs bounds the map outputs that a driver may name and not forget.
const maxOutputs = 1 << 16

// receive takes what the driver sends until ctx, which is the stream's, ends, and returns why it
// stops.
func (x *driverStream) receive(ctx context.Context, s *end[FromExecutor, ToExecutor]) error {
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
			if err := x.server.host.Room(ctx); err != nil {
				return err
			}
		}
		if err := x.take(ctx, m); err != nil {
			return err
		}
	}
}

// greet takes Hello and the values and answers with what was built.
func (x *driverStream) greet(s *end[FromExecutor, ToExecutor]) error {
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

// take carries out one message. What it begins ends with ctx.
func (x *driverStream) take(ctx context.Context, m *ToExecutor) error {
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
		return x.receiveFor(ctx, m.Receive.Inputs)
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
func (x *driverStream) hosted(f func(Host)) {
	x.server.hosting.Lock()
	defer x.server.hosting.Unlock()
	if x.server.fence.drives(x.session) {
		f(x.server.host)
	}
}

// receiveFor begins to run the receivers of inputs, and ends those of others.
func (x *driverStream) receiveFor(ctx context.Context, inputs []int32) error {
	for input, end := range x.receiving {
		if !slices.Contains(inputs, input) {
			end()
			delete(x.receiving, input)
		}
	}
	return x.server.fence.whileDriving(x.session, func(uint64) error {
		for _, input := range inputs {
			if x.receiving[input] != nil {
				continue
			}
			ctx, end := context.WithCancel(ctx)
			x.receiving[input] = end
			x.server.receiving.Run(input, func() {
				defer end()
				err := x.server.host.Receive(ctx, input, func(message []byte) {
					x.session.post(&FromExecutor{Received: &Received{Input: input, Message: message}})
				})
				ended := &Received{Input: input, Ended: true}
				if err != nil {
					ended.Failure = clip(err.Error())
				}
				x.session.post(&FromExecutor{Received: ended})
			})
		}
		return nil
	})
}

// launch starts a task with what it reads.
func (x *driverStream) launch(m *Launch) error {
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
