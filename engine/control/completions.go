package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/wire"
)

// completeDelay is how long a completion waits for an allocation to ride along
// with before it is recorded on its own.
const completeDelay = 100 * time.Millisecond

// completions are those of a job's driver process that aren't recorded yet. They wait
// a moment, so that they ride along with the next allocation.
//
// THREADING: all methods are safe for concurrent use; flush runs in a goroutine of its
// own.
type completions struct {
	job    uint64
	record func([]wire.Completion) error // by a command of their own
	ctx    context.Context               // of the process
	calls  sync.WaitGroup                // that may take completions or leave some

	mu      sync.Mutex
	over    bool              // the process has ended: no call begins
	waiting []wire.Completion // not recorded yet
	riding  int               // how many are being recorded
	wake    chan struct{}     // of capacity 1: waiting isn't empty any more
}

func newCompletions(ctx context.Context, job uint64, record func([]wire.Completion) error) *completions {
	return &completions{job: job, record: record, ctx: ctx, wake: make(chan struct{}, 1)}
}

// enter begins a call that may take completions or leave some. It ends with leave.
func (q *completions) enter() (leave func(), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over {
		return nil, q.ctx.Err()
	}
	q.calls.Add(1)
	return q.calls.Done, nil
}

// wait adds completions to those that aren't recorded.
func (q *completions) wait(c []wire.Completion) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.waiting) + q.riding; len(c) > state.MaxCompletions-n {
		return fmt.Errorf("%w: %d completions of job %d wait to be recorded, %d more are over the limit of %d",
			wire.ErrTooLarge, n, q.job, len(c), state.MaxCompletions)
	}
	q.waiting = append(q.waiting, c...)
	q.wakeFlush()
	return nil
}

// wakeFlush wakes flush, because completions wait. mu is held.
func (q *completions) wakeFlush() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// claim returns the completions that wait, for the caller to record. The
// caller then calls release.
func (q *completions) claim() []wire.Completion {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.waiting
	q.waiting = nil
	q.riding += len(c)
	return c
}

// release ends a claim. If recording failed with *err, the completions wait again.
func (q *completions) release(c []wire.Completion, err *error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.riding -= len(c)
	if *err != nil && len(c) > 0 {
		q.waiting = append(c, q.waiting...)
		q.wakeFlush()
	}
}

// flushNow records the completions that wait.
func (q *completions) flushNow() (err error) {
	c := q.claim()
	if len(c) == 0 {
		return nil
	}
	defer q.release(c, &err)
	err = q.record(c)
	if errors.Is(err, wire.ErrJobEnded) {
		return nil
	}
	return err
}

// flush records completions that no allocation took along, until the process has
// ended, and then what is left: what it has done is done, and another process here
// would do it again. While it can't be recorded flush tries again, until the leadership
// ends; then another node runs the batches again.
func (q *completions) flush(leading context.Context) {
	for q.ctx.Err() == nil {
		select {
		case <-q.wake:
		case <-q.ctx.Done():
			continue
		}
		select {
		case <-time.After(completeDelay):
			_ = q.flushNow() // what fails waits and wakes this loop again
		case <-q.ctx.Done():
		}
	}
	q.mu.Lock()
	q.over = true
	q.mu.Unlock()
	q.calls.Wait()
	for wire.Transient(q.flushNow()) && leading.Err() == nil {
		select {
		case <-time.After(completeDelay):
		case <-leading.Done():
		}
	}
}
