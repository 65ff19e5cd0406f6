package remote

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
	"github.com/hibana-engine/hibana/scheduler"
)

// session is one driver's stream, on the executor: what is to be sent on it, the
// tasks that run for it, and whether it is over.
//
// THREADING: anybody posts, one goroutine sends. mu guards all but wake; no other
// lock is taken meanwhile.
type session struct {
	wake chan struct{} // holds a token when there is something to do

	mu      sync.Mutex
	tasks   map[scheduler.TaskID]struct{} // that run for it
	outbox  []*FromExecutor
	ended   bool
	cause   error
	greeted bool                           // Hello came
	stored  func() []scheduler.StoredBlock // what goes with the registration and tasks' successes, nil before the host knows
}

// helloTimeout bounds the time between a stream's beginning and its Hello.
const helloTimeout = 10 * time.Second

func newSession() *session {
	return &session{tasks: make(map[scheduler.TaskID]struct{}), wake: make(chan struct{}, 1)}
}

// begin notes a task that runs for the session.
func (x *session) begin(id scheduler.TaskID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tasks[id] = struct{}{}
}

// runs reports whether a task runs for the session.
func (x *session) runs(id scheduler.TaskID) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, mine := x.tasks[id]
	return mine
}

// strike takes a task off. It reports whether it ran for the session.
func (x *session) strike(id scheduler.TaskID) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	_, mine := x.tasks[id]
	delete(x.tasks, id)
	return mine
}

// strikeAll takes all tasks off and returns them.
func (x *session) strikeAll() []scheduler.TaskID {
	x.mu.Lock()
	defer x.mu.Unlock()
	ids := slices.Collect(maps.Keys(x.tasks))
	clear(x.tasks)
	return ids
}

// post hands messages to send. They are bounded by the slots and the batches, and those of
// inputs' receivers by what these tell while the stream takes nothing: after some seconds it
// has ended.
func (x *session) post(m ...*FromExecutor) {
	x.mu.Lock()
	if !x.ended {
		x.outbox = append(x.outbox, m...)
	}
	x.mu.Unlock()
	x.signal()
}

// tellStored sets what goes with the registration and the successes of tasks, in the order
// in which they are sent.
func (x *session) tellStored(stored func() []scheduler.StoredBlock) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stored = stored
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

// greet notes that Hello came.
func (x *session) greet() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.greeted = true
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
func (x *session) send(ctx context.Context, s *end[FromExecutor, ToExecutor]) error {
	var batch []*FromExecutor
	beat := time.NewTicker(wire.HeartbeatInterval)
	defer beat.Stop()
	for {
		select {
		case <-x.wake:
		case <-beat.C:
			if err := s.send(&FromExecutor{Alive: &wire.Alive{}}); err != nil {
				return err
			}
			continue
		case <-ctx.Done():
			return ctx.Err()
		}
		x.mu.Lock()
		batch, x.outbox = x.outbox, batch[:0]
		ended, cause, stored := x.ended, x.cause, x.stored
		x.mu.Unlock()
		for i, m := range batch {
			switch {
			case stored == nil:
			case m.Registered != nil:
				m.Registered.Stored = stored()
			case m.Ended != nil && m.Ended.Success != nil:
				m.Ended.Success.Stored = stored()
			}
			if err := s.add(m); err != nil {
				return err
			}
			batch[i] = nil
		}
		if err := s.flush(); err != nil {
			return err
		}
		if ended {
			return cause
		}
	}
}
