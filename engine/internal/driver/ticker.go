package driver

import (
	"context"
	"time"
)

// ticker waits for the time of the next batch. One goroutine uses it.
type ticker interface {
	// wait waits for a while; it reports false if ctx ends before.
	wait(ctx context.Context, d time.Duration) bool
	close()
}

// newTicker returns the most precise ticker that there is. Go's timers fire up to a
// millisecond late in a process that has nothing else to do, since the runtime
// waits for them in epoll_wait, which counts in milliseconds.
func newTicker() ticker {
	if a := newPreciseTicker(); a != nil {
		return a
	}
	t := time.NewTimer(time.Hour)
	t.Stop()
	return timerTicker{t}
}

// timerTicker is a ticker of the runtime's timers, which follow a clock that isn't
// the system's too (testing/synctest).
type timerTicker struct{ timer *time.Timer }

func (a timerTicker) wait(ctx context.Context, d time.Duration) bool {
	a.timer.Reset(d)
	select {
	case <-a.timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (a timerTicker) close() { a.timer.Stop() }
