package scheduler

import (
	"context"
	"fmt"

	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// TaskID names one attempt of one task, for all processes of a job. It is all
// that names a task on the wire.
//
// Stages are numbered from the lineage alone, so that an executor finds them
// without the scheduler: the shuffle-map stage of shuffle k is k, and the result
// stage of output o is -1-o ([MapStage], [ResultStage]).
type TaskID struct {
	Incarnation uint64 `msgpack:"i"` // of the job's submission
	Epoch       uint64 `msgpack:"e"` // of the driver that launched the task
	Batch       uint64 `msgpack:"b"` // sequence number of the batch
	Stage       int32  `msgpack:"s"` // see MapStage and ResultStage
	Partition   int32  `msgpack:"p"` // of the stage
	// Attempt counts the launches of this partition from 0, over all attempts of
	// the stage: no two launches of a driver share an ID.
	Attempt int32 `msgpack:"a"`
}

// MapStage returns the number of the stage that writes a shuffle.
func MapStage(shuffle int) int32 { return int32(shuffle) }

// ResultStage returns the number of the stage that computes an output of a
// batch; outputs count from 0.
func ResultStage(output int) int32 { return -1 - int32(output) }

// Shuffle returns the id of the shuffle that the task writes; ok is false for a
// task of a result stage.
func (t TaskID) Shuffle() (id int, ok bool) { return int(t.Stage), t.Stage >= 0 }

// Output returns the number of the output that the task computes; ok is false
// for a task of a shuffle-map stage.
func (t TaskID) Output() (output int, ok bool) { return int(-1 - t.Stage), t.Stage < 0 }

// String returns the coordinates for people, such as
// "batch 7, shuffle-map stage 0, partition 3, attempt 1".
func (t TaskID) String() string {
	where := fmt.Sprintf("%s, partition %d, attempt %d", stageName(t.Batch, t.Stage), t.Partition, t.Attempt)
	if t.Batch == programBatch {
		return where
	}
	return fmt.Sprintf("batch %d, %s", t.Batch, where)
}

// programBatch is the batch of a batch program's RDDs. Its outputs are the program's
// steps.
const programBatch = 0

// jobName names an output for people.
func jobName(batch uint64, output int) string {
	if batch == programBatch {
		return fmt.Sprintf("step %d", output)
	}
	return fmt.Sprintf("batch %d, output %d", batch, output)
}

func stageName(batch uint64, stage int32) string {
	switch {
	case stage < 0 && batch == programBatch:
		return fmt.Sprintf("result stage of step %d", -1-stage)
	case stage < 0:
		return fmt.Sprintf("result stage of output %d", -1-stage)
	}
	return fmt.Sprintf("shuffle-map stage %d", stage)
}

// Task is what an executor is given: coordinates, and where the blocks are that
// the task's stage reads.
type Task struct {
	ID TaskID
	// Inputs holds one entry for each shuffle that the stage reads. The tasks of
	// a stage attempt share it; nobody changes it.
	Inputs []*shuffle.Outputs
	// Elsewhere are the cached partitions that the task may read which its executor doesn't
	// hold, and who holds them, as far as the driver knows.
	Elsewhere []HeldBlocks
	// AskCommit asks the driver whether this attempt may commit its output, and
	// waits for the answer: nil means that it may, [ErrCommitDenied] that it may
	// not. The backend that runs the task sets it.
	AskCommit func(ctx context.Context) error
	// FreeSlot lets the task's slot begin another task that waits at the executor:
	// what this one has left to do is waiting. The task's goroutine calls it. The
	// backend that runs the task sets it.
	FreeSlot func()
}
