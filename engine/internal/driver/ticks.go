package driver

import (
	"log/slog"
	"time"
)

// maxMadeUp is how many batch times are made up that passed while there was no
// driver.
const maxMadeUp = 100

// missed returns the batch times between the last batch of the driver before and
// now, the newest maxMadeUp of them.
func (g *generator) missed(now time.Time) []time.Time {
	if g.previous == nil {
		return nil
	}
	interval := g.Program.Interval
	first := nextTick(g.previous.Time(), interval)
	if now.Before(first) {
		return nil
	}
	count := int64(now.Sub(first)/interval) + 1
	left := max(0, count-maxMadeUp)
	first = first.Add(time.Duration(left) * interval)
	g.Log.Info("batch times passed since the last batch was planned; their records are in the batches that are made up, and in the next ones",
		"made_up", count-left, "skipped", left, "last", g.previous.Time())
	times := make([]time.Time, count-left)
	for i := range times {
		times[i] = first.Add(time.Duration(i) * interval)
	}
	return times
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
