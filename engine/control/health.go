package control

import (
	"fmt"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
)

// troubleLife is for how long something that went wrong is in a job's status.
const troubleLife = time.Minute

// health is what only the leader's memory has of a job: how its driver process says
// that it is doing, what keeps the process from running, and what went wrong lately. The
// zero value is a new job's. It is safe for concurrent use.
type health struct {
	mu        sync.Mutex
	progress  wire.Progress
	stuck     string // why no driver process runs, "" while one does
	trouble   string // the last thing that went wrong
	troubleOn string // the executor where, "" for elsewhere
	troubleAt time.Time
}

// report keeps what the process says of itself.
func (h *health) report(p wire.Progress) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.progress = p
}

// setStuck says why no driver process runs, "" that one is about to: what the one
// before it said is over.
func (h *health) setStuck(why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stuck = why
	h.progress.Message, h.progress.Executor, h.progress.Metrics = "", "", ""
}

// setTrouble keeps what went wrong, for those that ask how the job is.
func (h *health) setTrouble(trouble string) { h.setTroubleOn("", trouble) }

// setTroubleOn is setTrouble of something that went wrong on an executor.
func (h *health) setTroubleOn(executor, trouble string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trouble, h.troubleOn, h.troubleAt = trouble, executor, time.Now()
}

// lastTrouble returns what went wrong last and on which executor, "" if that was long
// ago.
func (h *health) lastTrouble() (trouble, executor string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.troubleAt) > troubleLife {
		return "", ""
	}
	return h.trouble, h.troubleOn
}

// troubled reports whether something is wrong with the job now.
func (h *health) troubled() bool {
	trouble, _ := h.lastTrouble()
	h.mu.Lock()
	defer h.mu.Unlock()
	return trouble != "" || h.stuck != "" || h.progress.Message != ""
}

// metrics returns where the driver process serves its metrics, "" for nowhere.
func (h *health) metrics() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.progress.Metrics
}

// fill adds to a status what only the leader's memory has. drained says whether an executor
// was drained: the job's processes don't hear why theirs ended there.
func (h *health) fill(st *wire.JobStatus, drained func(executor string) bool) {
	if trouble, on := h.lastTrouble(); trouble != "" {
		if st.Reason != "" {
			st.Reason += "; "
		}
		st.Reason += trouble
		st.ReasonOn = on
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	st.Progress = h.progress
	if st.State.Final() {
		return
	}
	said := h.progress.Message
	if on := h.progress.Executor; said != "" && on != "" && drained(on) {
		said = fmt.Sprintf("executor %s was drained: %s", on, said)
	}
	for _, more := range []string{h.stuck, said} {
		if st.Trouble != "" && more != "" {
			st.Trouble += "; "
		}
		st.Trouble += more
	}
	st.TroubleOn = h.progress.Executor
}
