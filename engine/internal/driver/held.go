package driver

import (
	"log/slog"
	"time"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// remindAfter is how long the log is silent about something that lasts.
const remindAfter = 30 * time.Second

// heldLog says in the log that an input is held up: when it begins, then every
// remindAfter, and when it is over. One goroutine uses it.
type heldLog struct {
	log   *slog.Logger
	since time.Time // zero while nothing holds the input up
	said  time.Time
}

// note takes in what the newest plan says of what holds the input up, and since
// when.
func (h *heldLog) note(now time.Time, input string, p plan.Share) {
	reason := p.Held
	switch {
	case reason == "" && h.since.IsZero():
	case reason == "":
		h.log.Info("an input is no longer held up", "input", input, "after", now.Sub(h.since).Round(time.Millisecond))
		h.since = time.Time{}
	case h.since.IsZero():
		h.since, h.said = now, now
		if !p.HeldSince.IsZero() {
			h.since = p.HeldSince
		}
		h.log.Warn("an input is held up", "input", input, "reason", reason, "since", h.since)
	case now.Sub(h.said) >= remindAfter:
		h.said = now
		h.log.Warn("an input is still held up", "input", input, "reason", reason, "since", h.since)
	}
}
