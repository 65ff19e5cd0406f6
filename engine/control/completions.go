package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Completions of a job wait a moment, so that they ride along with the next
// allocation.

// completeDelay is how long a completion waits for an allocation to ride along
// with before it is recorded on its own.
const completeDelay = 100 * time.Millisecond

// wait adds completions to those that aren't recorded.
func (s *jobService) wait(c []wire.Completion) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.waiting) + s.riding; len(c) > state.MaxCompletions-n {
		return fmt.Errorf("%w: %d completions of job %d wait to be recorded, %d more are over the limit of %d",
			wire.ErrTooLarge, n, s.spec.Incarnation, len(c), state.MaxCompletions)
	}
	s.waiting = append(s.waiting, c...)
	s.wakeFlush()
	return nil
}

// wakeFlush wakes flush, because completions wait. mu is held.
func (s *jobService) wakeFlush() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// claimWaiting returns the completions that wait, for the caller to record. The
// caller then calls release.
func (s *jobService) claimWaiting() []wire.Completion {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.waiting
	s.waiting = nil
	s.riding += len(c)
	return c
}

// release ends a claim. If recording failed with *err, the completions wait again.
func (s *jobService) release(c []wire.Completion, err *error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.riding -= len(c)
	if *err != nil && len(c) > 0 {
		s.waiting = append(c, s.waiting...)
		s.wakeFlush()
	}
}

// flushNow records the completions that wait.
func (s *jobService) flushNow() (err error) {
	c := s.claimWaiting()
	if len(c) == 0 {
		return nil
	}
	defer s.release(c, &err)
	err = s.node.Record(&state.CompleteOutputs{Incarnation: s.spec.Incarnation, Epoch: s.epoch, Completions: c}, raftgroup.Never)
	if errors.Is(err, wire.ErrJobEnded) {
		return nil
	}
	return err
}

// flush records completions that no allocation took along, until the process has
// ended, and then what is left: what it has done is done, and another process here
// would do it again. While it can't be recorded flush tries again, until the leadership
// ends; then another node runs the batches again.
func (s *jobService) flush(leading context.Context) {
	for s.ctx.Err() == nil {
		select {
		case <-s.wake:
		case <-s.ctx.Done():
			continue
		}
		select {
		case <-time.After(completeDelay):
			_ = s.flushNow() // what fails waits and wakes this loop again
		case <-s.ctx.Done():
		}
	}
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.calls.Wait()
	for wire.Transient(s.flushNow()) && leading.Err() == nil {
		select {
		case <-time.After(completeDelay):
		case <-leading.Done():
		}
	}
}
