package scheduler

import (
	"cmp"
	"maps"
	"slices"

	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler/kernel"
)

// updates holds what the tasks of a job added to accumulators: for each task what the
// attempt added that counted last. So a map task that ran again counts once.
type updates struct {
	tasks map[part][]task.Update
	bytes int64
}

// part names a task of a job, whatever its attempt.
type part struct{ stage, partition int32 }

// add keeps what an attempt added, in place of what an earlier one did.
func (u *updates) add(t kernel.Task, added []task.Update) {
	at := part{t.Stage, t.Partition}
	u.bytes += size(added) - size(u.tasks[at])
	switch {
	case len(added) == 0:
		delete(u.tasks, at)
	case u.tasks == nil:
		u.tasks = map[part][]task.Update{at: added}
	default:
		u.tasks[at] = added
	}
}

func size(added []task.Update) (n int64) {
	for _, u := range added {
		n += int64(len(u.Data))
	}
	return n
}

// inOrder returns what was added, in an order that doesn't depend on when tasks ended.
func (u *updates) inOrder() (all []task.Update) {
	if len(u.tasks) == 0 {
		return nil // most jobs have no accumulators
	}
	order := func(a, b part) int {
		return cmp.Or(cmp.Compare(a.stage, b.stage), cmp.Compare(a.partition, b.partition))
	}
	for _, at := range slices.SortedFunc(maps.Keys(u.tasks), order) {
		all = append(all, u.tasks[at]...)
	}
	return all
}
