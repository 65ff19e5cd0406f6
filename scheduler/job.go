package scheduler

import (
	"time"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Job is one output of one batch.
type Job struct {
	Batch  uint64
	Output int // counts from 0 within the batch
	// Stages are what Cut returned for the output's final RDD: parents first,
	// the result stage last.
	Stages []Stage
}

// NewJob returns the job that computes an output of a batch.
func NewJob(batch uint64, output int, final *lineage.Node) Job {
	return Job{Batch: batch, Output: output, Stages: Cut(output, final)}
}

// JobResult is what a finished job brings back.
type JobResult struct {
	// Partitions holds what the action returned for each partition of the final
	// RDD, in partition order; nil where it returned nothing.
	Partitions [][]byte
	// Metrics adds up the attempts that counted, map stages included. Work that
	// another job of the batch had done already isn't in it.
	Metrics task.Metrics
	// Tasks is the number of attempts that counted, Failed of those that didn't.
	Tasks, Failed int
	// Time is how long the job took, from its submission on.
	Time time.Duration
}
