package remote

import (
	"fmt"

	"github.com/hibana-engine/hibana/engine/wire"
)

// Several are messages of a Work stream that are sent as one, in their order. Most of what a
// message costs is the same however little it says.
type Several[M any] struct {
	Messages []*M `msgpack:"m"`
}

// maxSeveral bounds the weight of messages that are sent as one: large ones go alone.
const maxSeveral = 64 << 10

// alone is the weight of a message that goes alone.
const alone = maxSeveral

// carrier is a Work stream as gRPC has it, at either end.
type carrier[Out, In any] interface {
	Send(*Several[Out]) error
	Recv() (*Several[In], error)
}

// end is an end of a Work stream, for messages one by one. What is added goes together with
// what is added after it, until flush or until it is much: so what has queued up while
// something was sent goes as one, and nothing waits for more to come. One goroutine sends,
// another may receive.
type end[Out, In any] struct {
	stream carrier[Out, In]
	weigh  func(*Out) int // how many bytes a message takes at most, or alone
	added  []*Out         // and not sent
	weight int            // of added
	came   []*In          // and not received
}

// driverEnd returns the driver's end of a stream.
func driverEnd(s carrier[ToExecutor, FromExecutor]) *end[ToExecutor, FromExecutor] {
	return &end[ToExecutor, FromExecutor]{stream: s, weigh: (*ToExecutor).weight}
}

// executorEnd returns the executor's end of a stream.
func executorEnd(s carrier[FromExecutor, ToExecutor]) *end[FromExecutor, ToExecutor] {
	return &end[FromExecutor, ToExecutor]{stream: s, weigh: (*FromExecutor).weight}
}

// add sends a message, at the latest with the next flush.
func (e *end[Out, In]) add(m *Out) error {
	w := e.weigh(m)
	if e.weight+w > maxSeveral {
		if err := e.flush(); err != nil {
			return err
		}
	}
	e.added = append(e.added, m)
	e.weight += w
	return nil
}

// flush sends what was added.
func (e *end[Out, In]) flush() error {
	if len(e.added) == 0 {
		return nil
	}
	several := &Several[Out]{e.added} // it is gRPC's from now on
	e.added, e.weight = nil, 0
	return e.stream.Send(several)
}

// send sends a message now.
func (e *end[Out, In]) send(m *Out) error {
	if err := e.add(m); err != nil {
		return err
	}
	return e.flush()
}

// receive returns the next message.
func (e *end[Out, In]) receive() (*In, error) {
	if len(e.came) == 0 {
		several, err := e.stream.Recv()
		if err != nil {
			return nil, err
		}
		e.came = several.Messages
	}
	if len(e.came) == 0 || e.came[0] == nil {
		return nil, fmt.Errorf("%w: nothing where a message should be", wire.ErrMalformed)
	}
	m := e.came[0]
	e.came = e.came[1:]
	return m, nil
}

// Weights of parts of messages.
const (
	smallWeight = 256 // of a message without what else is weighed
	countWeight = 9   // of a number
	blockWeight = 64  // of a cached partition's name, with how it is stored
)

// weight returns how many bytes the message takes at most, if it is one of those that are
// sent for each task or batch; others go alone.
func (m *ToExecutor) weight() int {
	switch {
	case m.Launch != nil:
		w := smallWeight + countWeight*len(m.Launch.Inputs)
		for _, h := range m.Launch.Elsewhere {
			w += smallWeight + len(h.Executor) + blockWeight*len(h.Blocks)
		}
		return w
	case m.Invoke != nil:
		return smallWeight + len(m.Invoke.Invocation)
	case m.Kill != nil:
		return smallWeight + len(m.Kill.Reason)
	case m.Commit != nil, m.Forget != nil:
		return smallWeight
	}
	return alone
}

// weight is as of ToExecutor. Failures go alone.
func (m *FromExecutor) weight() int {
	switch {
	case m.Commit != nil:
		return smallWeight
	case m.Received != nil && m.Received.Failure == "":
		return smallWeight + len(m.Received.Message)
	case m.Ended != nil && m.Ended.Success != nil:
		s := m.Ended.Success
		w := smallWeight + len(s.Result) + blockWeight*len(s.Stored)
		if s.Map != nil {
			w += countWeight*len(s.Map.Bytes) + len(s.Map.Small)
		}
		for _, u := range s.Updates {
			w += smallWeight + len(u.Name) + len(u.Data)
		}
		for _, n := range s.Notes {
			w += countWeight + len(n)
		}
		return w
	}
	return alone
}
