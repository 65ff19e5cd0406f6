package rdd

import (
	"errors"
	"fmt"

	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
)

// Errors of this package, for errors.Is.
var (
	// ErrNilFunction: an operator was given no function.
	ErrNilFunction = errors.New("the function is nil")
	// ErrPartitions: a partition count is below 1 or above MaxPartitions.
	ErrPartitions = fmt.Errorf("the number of partitions must be from 1 to %d", MaxPartitions)
	// ErrPartitioner: a partitioner can't place the keys, or placed one outside of its
	// partitions.
	ErrPartitioner = Permanent(errors.New("the partitioner can't be used"))
	// ErrArgument: an operator was given a number or another value that it can't use.
	ErrArgument = errors.New("the argument can't be used")
	// ErrUnequal: RDDs that are zipped, or partitions of them, differ in length.
	ErrUnequal = errors.New("the numbers differ")
	// ErrForeign: an operator was given RDDs of different batches or contexts.
	ErrForeign = errors.New("the RDDs belong to different contexts")
	// ErrNil: an operator was given no RDD, or returned none.
	ErrNil = errors.New("nil in place of an RDD or stream")
	// ErrEncoding: an element type can't be encoded, or bytes can't be decoded.
	ErrEncoding = errors.New("encoding failed")
	// ErrEmpty: an action that needs an element found none.
	ErrEmpty = errors.New("the RDD is empty")
	// ErrStorageLevel: Persist was given a level that there isn't.
	ErrStorageLevel = errors.New("there is no such storage level")
	// ErrNoActions: an action was called where there is no program to bring the result
	// to: in Transform, or in a function that runs on executors.
	ErrNoActions = Permanent(errors.New("actions can't be called here: in a stream, what Transform's function is given can only be transformed; use ForEachBatch to have results on the driver"))
	// ErrResultTooLarge: the driver would be sent more than its limit.
	ErrResultTooLarge = lineage.ErrResultTooLarge
	// ErrLimit: an action was asked for fewer than no elements.
	ErrLimit = errors.New("the number of elements must not be negative")
	// ErrDepth: the depth of a tree is below 1.
	ErrDepth = errors.New("the depth must be at least 1")
	// ErrBuckets: a histogram was asked for with bounds that make no buckets.
	ErrBuckets = errors.New("the buckets of a histogram can't be made")
	// ErrChanged: an RDD had other elements when it was computed again.
	ErrChanged = errors.New("the RDD had other elements when it was computed again: keep them with Cache, or make its functions return the same every time")
	// ErrBroadcast: a broadcast value can't be had.
	ErrBroadcast = errors.New("the broadcast value isn't there")
	// ErrNoFiles: files were to be listed where every process would list them for itself:
	// in Transform.
	ErrNoFiles = errors.New("files can't be listed here: each process of a stream would find others; read them in a batch program, or in a stream once, with engine.Value, for functions to use")
	// ErrCheckpoint: a checkpoint can't be made, or isn't the program's.
	ErrCheckpoint = errors.New("the checkpoint can't be used")
	// ErrLine: a line of a file is longer than lines may be.
	ErrLine = Permanent(errors.New("the line is too long"))
	// ErrAccumulator: an accumulator was used where it can't be.
	ErrAccumulator = Permanent(errors.New("the accumulator can't be used here"))
)

// Permanent returns err for a function in a task to return, or to panic with, when another
// attempt would fail alike: what it is about is in the data or in the program. The job
// fails at once then, instead of with the task's last attempt; only if what the task reads
// is indeterminate it is tried again. It returns nil for nil.
func Permanent(err error) error { return task.Permanent(err) }

// OpError is an error of one operator of the user's program.
type OpError = lineage.OpError

// PanicError is a panic of the user's code in a task.
type PanicError = lineage.PanicError
