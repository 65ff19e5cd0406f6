package remote

import (
	"fmt"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/scheduler"
)

// Troubles takes what is wrong with a job's executors and tasks, for people who ask how
// the job is.
type Troubles interface {
	// Executor says what is wrong with an executor, by its id, while it lasts; "" says
	// that nothing is.
	Executor(id, text string)
	// Task says that a task was lost or has failed, on the executor with that id, and is
	// tried again or fails the job.
	Task(id, text string)
}

// slowLink is how long an executor may take to register before that is a trouble.
const slowLink = 5 * time.Second

// observed are a scheduler's events, of which what goes wrong is told to people too.
type observed struct {
	scheduler.BackendEvents
	troubles Troubles
}

// observe returns events that tell troubles too, unless that is nil.
func observe(events scheduler.BackendEvents, t Troubles) scheduler.BackendEvents {
	if t == nil {
		return events
	}
	return observed{events, t}
}

// TaskEnded implements scheduler.BackendEvents.
func (o observed) TaskEnded(executor string, id scheduler.TaskID, outcome scheduler.Outcome) {
	switch outcome.(type) {
	case scheduler.Success, scheduler.TaskKilled, scheduler.Denied:
	default:
		o.troubles.Task(idOf(executor), fmt.Sprintf("a task failed on %s (%s): %s", idOf(executor), id, firstLine(outcome.Reason())))
	}
	o.BackendEvents.TaskEnded(executor, id, outcome)
}

// ExecutorLost implements scheduler.BackendEvents.
func (o observed) ExecutorLost(lost scheduler.ExecutorLost) {
	id := idOf(lost.Executor)
	o.troubles.Task(id, fmt.Sprintf("the process on %s was lost, its tasks run again: %s", id, firstLine(lost.Message)))
	o.BackendEvents.ExecutorLost(lost)
}

// idOf returns the executor's id in a name.
func idOf(name string) string {
	if i := strings.LastIndexByte(name, '@'); i >= 0 {
		return name[:i]
	}
	return name
}

func firstLine(s string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return first
}
