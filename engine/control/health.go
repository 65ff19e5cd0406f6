package control

import (
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
)

// troubleLife is for how long something that went wrong is in a job's status.
const troubleLife = time.Minute

// health is what only the leader's memory has of a job: how its driver process says
// that it is doing, and what went wrong lately. The zero value is a new job's. It is
// safe for concurrent use.
type health struct {
	mu        sync.Mutex
	progress  wire.Progress
	trouble   string // the last thing that went wrong
	troubleAt time.Time
}

// report keeps what the process says of itself.
func (h *health) report(p wire.Progress) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.progress = p
}

// setTrouble keeps what went wrong, for those that ask how the job is.
func (h *health) setTrouble(trouble string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trouble, h.troubleAt = trouble, time.Now()
}

// lastTrouble returns what went wrong last, "" if that was long ago.
func (h *health) lastTrouble() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.troubleAt) > troubleLife {
		return ""
	}
	return h.trouble
}

// fill adds to a status what only the leader's memory has.
func (h *health) fill(st *wire.JobStatus) {
	if trouble := h.lastTrouble(); trouble != "" {
		if st.Reason != "" {
			st.Reason += "; "
		}
		st.Reason += trouble
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	st.Progress = h.progress
}
