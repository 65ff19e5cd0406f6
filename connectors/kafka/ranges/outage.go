package ranges

import (
	"log/slog"
	"sync"
	"time"
)

// outage says in the log when streams have to wait for Kafka and when none does
// any more: one line for an outage, not one for each partition.
//
// THREADING: mu guards all but log, and waiting of every stream. It is held over
// the lines, which name a stream, so that they come in order; of other locks only
// the stream's is taken.
type outage struct {
	log *slog.Logger

	mu          sync.Mutex
	since, told time.Time
	waiting     int
}

const (
	// quietTries is how many attempts may fail before it is worth a line: a
	// leader that moves costs one or two.
	quietTries = 3
	// remindAfter is the time between two lines of one outage.
	remindAfter = 30 * time.Second
)

// enter notes that a stream's attempt failed. Its holder calls it.
func (o *outage) enter(s *stream, why error) {
	if s.tries < quietTries {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !s.waiting {
		s.waiting = true
		o.waiting++
	}
	now := time.Now()
	if o.waiting == 1 && o.since.IsZero() {
		o.since = now
	}
	if o.told.IsZero() || now.Sub(o.told) >= remindAfter {
		o.told = now
		o.log.Warn("kafka: waiting, nothing is skipped", append(s.attrs(), "ranges", o.waiting, "since", o.since, "error", why)...)
	}
}

// leave notes that nobody waits for a stream any more.
func (o *outage) leave(s *stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.remove(s)
}

// over notes that a stream goes on.
func (o *outage) over(s *stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	since := o.since
	if !s.waiting {
		return
	}
	if o.remove(s); o.waiting == 0 {
		o.log.Info("kafka: goes on", append(s.attrs(), "waited", time.Since(since).Round(time.Millisecond))...)
	}
}

// remove is called with mu held.
func (o *outage) remove(s *stream) {
	if !s.waiting {
		return
	}
	s.waiting = false
	if o.waiting--; o.waiting == 0 {
		o.since, o.told = time.Time{}, time.Time{}
	}
}
