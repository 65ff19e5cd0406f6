package ranges

import (
	"log/slog"
	"time"
)

// outage says in the log when streams have to wait for Kafka and when none does
// any more: one line for an outage, not one for each partition. It belongs to
// Reader.mu.
type outage struct {
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

// enter notes that a stream's attempt failed.
func (o *outage) enter(log *slog.Logger, s *stream, why error) {
	if s.tries < quietTries {
		return
	}
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
		log.Warn("kafka: waiting, nothing is skipped", append(s.attrs(), "ranges", o.waiting, "since", o.since, "error", why)...)
	}
}

// leave notes that nobody waits for a stream any more.
func (o *outage) leave(s *stream) {
	if s.waiting {
		s.waiting = false
		if o.waiting--; o.waiting == 0 {
			o.since, o.told = time.Time{}, time.Time{}
		}
	}
}

// over notes that a stream goes on.
func (o *outage) over(log *slog.Logger, s *stream) {
	since := o.since
	if !s.waiting {
		return
	}
	if o.leave(s); o.waiting == 0 {
		log.Info("kafka: goes on", append(s.attrs(), "waited", time.Since(since).Round(time.Millisecond))...)
	}
}
