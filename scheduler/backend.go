package scheduler

import (
	"context"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Backend reaches the executors. The DAGScheduler launches no more tasks on an
// executor than it has slots; of brief ones up to four for each slot, which wait there.
//
// THREADING: Start is called once, before the others; they one at a time, by whoever has the
// DAGScheduler's turn. None may block: a backend hands over and reports later.
type Backend interface {
	// Start makes the backend report to events from now on, first the executors
	// that are there already.
	Start(events BackendEvents)
	// Launch runs a task on an executor. Every launched task is reported as ended
	// exactly once, unless its executor is reported lost before.
	Launch(executor string, task Task)
	// AnswerCommit tells a task that asked for it whether it may commit its output.
	// It is no error if the task has ended.
	AnswerCommit(executor string, id TaskID, granted bool)
	// DropCached has all executors drop what they keep of some RDDs, before they begin tasks
	// that are launched afterwards. An executor that is lost meanwhile and comes back drops
	// what is kept of all indeterminate ones.
	DropCached(rdds []lineage.ID)
	// Kill asks an executor to end a task. It is no error if it has ended.
	Kill(executor string, id TaskID, reason string)
}

// BackendEvents takes what a backend has to report.
//
// THREADING: safe for concurrent use; the methods don't block.
type BackendEvents interface {
	// ExecutorAdded says that an executor is ready and how many tasks it runs at
	// once. An id that is there already is a new process in the place of the
	// old one, which is lost.
	ExecutorAdded(executor string, slots int)
	// ExecutorResized says that an executor that was added runs another number of tasks
	// at once from now on. Those that it runs go on, also if they are more.
	ExecutorResized(executor string, slots int)
	// Stored says which cached partitions an executor keeps that was added a moment ago,
	// and has kept from drivers before this one. Others come with the ends of tasks.
	Stored(executor string, stored []StoredBlock)
	// ExecutorLost says that an executor is gone with its blocks and its tasks. If
	// it turns out later that a task made it die, it is called again and says so.
	ExecutorLost(lost ExecutorLost)
	// CommitAsked says that a launched task asks whether it may commit its output.
	// AnswerCommit answers.
	CommitAsked(executor string, id TaskID)
	// TaskEnded says how a launched task ended. The Backend's methods may be called before it
	// returns: the caller holds no lock that these take.
	TaskEnded(executor string, id TaskID, outcome Outcome)
}

// Runner runs tasks on an executor.
//
// THREADING: Run is called by as many goroutines as the executor has slots, with
// a Slot for each.
type Runner interface {
	// Run runs one task to its end and returns how it ended. ctx ends when the
	// task is killed; its cause says why. Panics of the user's code are the
	// runner's to catch (lineage.Guard), since it knows the operators; one that
	// escapes is caught by the backend and fails the task without their names.
	Run(ctx context.Context, task Task, slot *task.Slot) Outcome
}
