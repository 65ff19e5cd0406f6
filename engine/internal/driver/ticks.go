package driver

import (
	"log/slog"
	"time"
)

// nextTick returns the first multiple of the interval after now.
func nextTick(now time.Time, interval time.Duration) time.Time {
	return now.Truncate(interval).Add(interval)
}

// skippedLog says that batch times were skipped, at most once in remindAfter.
type skippedLog struct {
	log   *slog.Logger
	count int64 // that weren't told yet
	said  time.Time
}

// newest returns the newest batch time that isn't after now, beginning with next.
// The ones before it are skipped: their records are in that batch.
func (s *skippedLog) newest(now, next time.Time, interval time.Duration) time.Time {
	n := max(0, now.Sub(next)/interval)
	at := next.Add(n * interval)
	s.count += int64(n)
	if s.count > 0 && (s.said.IsZero() || now.Sub(s.said) >= remindAfter) {
		s.log.Warn("skipped batch times that passed while earlier batches ran or planning waited; their records are in the next batch",
			"count", s.count, "resumed_at", at)
		s.count, s.said = 0, now
	}
	return at
}

// flush says what wasn't said yet, at the end.
func (s *skippedLog) flush(interval time.Duration) {
	if s.count > 0 {
		s.log.Warn("skipped batch times that passed while earlier batches ran or planning waited", "count", s.count, "interval", interval)
		s.count = 0
	}
}
