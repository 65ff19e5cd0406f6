package engine

import (
	"context"
	"time"
)

// alarm waits for the time of the next batch. One goroutine uses it.
type alarm interface {
	// wait waits for a while; it reports false if ctx ends before.
	wait(ctx context.Context, d time.Duration) bool
	close()
}

// newAlarm returns the most precise alarm that there is. Go's timers fire up to a
// millisecond late in a process that has nothing else to do, since the runtime
// waits for them in epoll_wait, which counts in milliseconds.
func newAlarm() alarm {
	if a := newPreciseAlarm(); a != nil {
		return a
	}
	t := time.NewTimer(time.Hour)
	t.Stop()
	return timerAlarm{t}
}

// timerAlarm is an alarm of the runtime's timers, which follow a clock that isn't
// the system's too (testing/synctest).
type timerAlarm struct{ timer *time.Timer }

func (a timerAlarm) wait(ctx context.Context, d time.Duration) bool {
	a.timer.Reset(d)
	select {
	case <-a.timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (a timerAlarm) close() { a.timer.Stop() }
