package launch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// How long a process that is to end waits for functions of the program that have
// been asked to return and don't.
const (
	failPatience = 10 * time.Second // after a failure
	stopPatience = time.Second      // after an interrupt that ends the process at once
)

// farewell bounds the end of a process: functions of the program that don't
// return must not keep it. The methods of nil do nothing.
type farewell struct {
	calls *plan.Calls
	log   *slog.Logger
	over  chan error // takes why the process ends without them

	mu       sync.Mutex
	why      error
	patience time.Duration
	timer    *time.Timer // nil while nothing ends
}

func newFarewell(c *plan.Calls, log *slog.Logger) *farewell {
	return &farewell{calls: c, log: log, over: make(chan error, 1)}
}

// begin says why the process is to end and how long it may take. What is said
// first counts.
func (f *farewell) begin(why error, patience time.Duration) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer == nil {
		f.why, f.patience = why, patience
		f.timer = time.AfterFunc(patience, f.leave)
	}
}

// leave ends the wait.
func (f *farewell) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	level := slog.LevelError
	if asAsked(f.why) {
		level = slog.LevelWarn // as somebody asked
	}
	f.log.Log(context.Background(), level, "the process ends, and doesn't wait any longer for what still runs", "running", f.calls.String())
	f.over <- f.why // the first and only one
}

// errHeldUp ends a process whose program doesn't end.
var errHeldUp = errors.New("functions of the program that run at its end didn't return in time")

// allow gives what the program does at its end its time, and returns what to call
// when it is done. After a failure that time is added to what is left.
func (f *farewell) allow(d time.Duration) (done func()) {
	if f == nil {
		return func() {}
	}
	f.mu.Lock()
	ending := f.timer != nil
	f.mu.Unlock()
	switch {
	case !ending:
		f.begin(errHeldUp, d+failPatience)
		return f.end
	case f.extend(d):
		return func() { f.extend(0) }
	}
	return func() {}
}

// extend begins the wait anew, longer by d, if it isn't over. An interrupt that
// ends the process at once isn't put off.
func (f *farewell) extend(d time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer == nil || f.patience < failPatience || !f.timer.Stop() {
		return false
	}
	f.timer = time.AfterFunc(f.patience+d, f.leave)
	return true
}

// end says that everything has returned.
func (f *farewell) end() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer != nil {
		f.timer.Stop()
	}
}
