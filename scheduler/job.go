package scheduler

import (
	"slices"
	"time"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Job is one output of one batch.
type Job struct {
	Batch  uint64
	Output int           // counts from 0 within the batch
	Final  *lineage.Node // the RDD that the output computes
	// Partitions are those of the final RDD that the job computes, ascending; nil
	// means all. The same output may be submitted again with others: what its map
	// stages left is used again.
	Partitions []int32
}

// width returns of how many partitions the job's result is.
func (j Job) width() int {
	if j.Partitions != nil {
		return len(j.Partitions)
	}
	return j.Final.Partitions
}

// place returns where in the result a partition of the final RDD is.
func (j Job) place(partition int32) int {
	if j.Partitions == nil {
		return int(partition)
	}
	i, _ := slices.BinarySearch(j.Partitions, partition)
	return i
}

// NewJob returns the job that computes an output of a batch, all its partitions.
func NewJob(batch uint64, output int, final *lineage.Node) Job {
	return Job{Batch: batch, Output: output, Final: final}
}

// JobResult is what a job brings back when it has ended. One that failed brings what it did,
// without Partitions and Updates.
type JobResult struct {
	// Partitions holds what the action returned for each partition of the final
	// RDD that the job was to compute, in partition order; nil where it returned
	// nothing.
	Partitions [][]byte
	// Metrics adds up the attempts that counted, map stages included. Work that
	// another job of the batch had done already isn't in it.
	Metrics task.Metrics
	// Updates are what the attempts that counted added to accumulators, of each task one,
	// in an order that doesn't depend on when they ended.
	Updates []task.Update
	// Notes are what executors told with the attempts that counted.
	Notes [][]byte
	// Tasks is the number of attempts that counted, Failed of those that didn't.
	Tasks, Failed int
	// Stages is the number of stages that ran: with a task that counted.
	Stages int
	// Time is how long the job took, from its submission on.
	Time time.Duration
}
