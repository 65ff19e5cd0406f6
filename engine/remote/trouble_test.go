package remote

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hibana-engine/hibana/scheduler"
)

// listening counts what the scheduler is told.
type listening struct {
	scheduler.BackendEvents
	told int
}

func (e *listening) TaskEnded(string, scheduler.TaskID, scheduler.Outcome) { e.told++ }
func (e *listening) ExecutorLost(scheduler.ExecutorLost)                   { e.told++ }

// said are troubles as they are told.
type said []string

func (s *said) Executor(id, text string) { *s = append(*s, fmt.Sprintf("executor %s: %s", id, text)) }
func (s *said) Task(id, text string)     { *s = append(*s, fmt.Sprintf("task on %s: %s", id, text)) }

// People are told of tasks that fail and of processes that are lost; the scheduler of
// everything.
func TestTroublesAreTold(t *testing.T) {
	var inner listening
	var got said
	o := observe(&inner, &got)
	id := scheduler.TaskID{Batch: 7, Stage: scheduler.MapStage(0), Partition: 3, Attempt: 1}
	for _, outcome := range []scheduler.Outcome{
		scheduler.Success{}, scheduler.TaskKilled{}, scheduler.ExceptionFailure{Message: "no number pleases me\nstack"},
	} {
		o.TaskEnded("e1@127.0.0.1:5", id, outcome)
	}
	o.ExecutorLost(scheduler.ExecutorLost{Executor: "e2@127.0.0.1:6", Message: "signal: killed\nlast words"})
	want := said{
		"task on e1: a task failed on e1 (batch 7, shuffle-map stage 0, partition 3, attempt 1): no number pleases me",
		"task on e2: the process on e2 was lost, its tasks run again: signal: killed",
	}
	if !slices.Equal(got, want) || inner.told != 4 {
		t.Errorf("the scheduler was told %d times; people %q", inner.told, got)
	}
	if plain := observe(&inner, nil); plain != scheduler.BackendEvents(&inner) {
		t.Errorf("without anybody to tell it is %T", plain)
	}
}
