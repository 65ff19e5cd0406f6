package scheduler_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler"
)

// adds returns what a task added to an accumulator.
func adds(what string) []task.Update { return []task.Update{{Data: []byte(what)}} }

// added returns what a job's tasks added.
func added(r *scheduler.JobResult) string {
	var all []string
	for _, u := range r.Updates {
		all = append(all, string(u.Data))
	}
	return strings.Join(all, " ")
}

// Of each task one attempt's updates count, the last's of a map task that ran again; their
// order is that of the tasks, whichever ended first.
func TestUpdatesCountOnce(t *testing.T) {
	scheduled(t, scheduler.Options{}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		with := func(s scheduler.Success, what string) scheduler.Success {
			s.Updates = adds(what)
			return s
		}
		s := submit(t.Context(), d, wordCount(1, 0))
		first, second := b.next(t), b.next(t)
		b.end(second, with(oneBlock, fmt.Sprintf("map%d.0", second.task.ID.Partition)))
		b.end(first, scheduler.ExceptionFailure{Message: "an accident"})
		again := b.next(t)
		b.end(again, with(oneBlock, fmt.Sprintf("map%d.1", again.task.ID.Partition)))
		b.end(again, with(oneBlock, "twice")) // a zombie
		b.end(b.next(t), scheduler.FetchFailed{Shuffle: 0, MapPartition: 1, Executor: "a", Message: "gone"})
		lost := b.next(t)
		b.end(lost, with(oneBlock, fmt.Sprintf("map%d.2", lost.task.ID.Partition)))
		b.end(b.next(t), with(scheduler.Success{}, "result"))
		<-s.ended
		if s.err != nil || added(s.result) != "result map0.1 map1.2" {
			t.Errorf("%v, %v", s.result, s.err)
		}
		// Another job finds the map stage's output, and counts its own task alone.
		other := submit(t.Context(), d, wordCount(1, 1))
		b.end(b.next(t), with(scheduler.Success{}, "other"))
		<-other.ended
		if other.err != nil || added(other.result) != "other" {
			t.Errorf("%v, %v", other.result, other.err)
		}
	})
}

// What tasks add counts towards the limit of what a job brings.
func TestUpdatesAreLimited(t *testing.T) {
	scheduled(t, scheduler.Options{MaxResultBytes: 10}, func(t *testing.T, d *scheduler.DAGScheduler, b *byHand) {
		s := submit(t.Context(), d, wordCount(1, 0))
		for range 2 {
			end := oneBlock
			end.Updates = adds("123456")
			b.end(b.next(t), end)
		}
		if <-s.ended; !errors.Is(s.err, lineage.ErrResultTooLarge) {
			t.Error(s.err)
		}
	})
}
