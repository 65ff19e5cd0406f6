package plan

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hibana-engine/hibana/engine/batchlog"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// Errors of a job, for errors.Is.
var (
	// ErrUsage: the command line is wrong. The process exits with 2.
	ErrUsage = errors.New("wrong use")
	// ErrBuild: the program's build function reported errors or panicked.
	ErrBuild = errors.New("the program can't be built")
	// ErrDiverged: two processes built different graphs from one program.
	ErrDiverged = errors.New("the program isn't the same in every process")
	// ErrAmbiguous: operators that a loop declares can't be told apart.
	ErrAmbiguous = errors.New("operators can't be told apart")
	// ErrNotRecorded: a result of Value isn't recorded, and this process may not
	// compute it.
	ErrNotRecorded = errors.New("the driver recorded no value")
	// ErrCorruptLog: bytes of the batch log or of an allocation are broken.
	ErrCorruptLog = batchlog.ErrCorrupt
	// ErrFormat: bytes were written by a version that this one doesn't know.
	ErrFormat = batchlog.ErrFormat
	// ErrSlides: the streams of an operator have their RDDs in different batches.
	ErrSlides = errors.New("the streams slide differently")
	// ErrHistory: a batch reaches back to one that was forgotten or never told.
	ErrHistory = errors.New("the past that a batch reaches back to is gone")
	// ErrOtherProgram: the checkpoint belongs to another program or graph.
	ErrOtherProgram = errors.New("the checkpoint is of another program")
	// ErrLocked: another process uses the checkpoint directory.
	ErrLocked = batchlog.ErrLocked
	// ErrStopped: the stream has been stopped.
	ErrStopped = errors.New("the stream is stopped")
	// ErrInterrupted: a batch program was told to end before it had.
	ErrInterrupted = errors.New("the program was interrupted")
	// ErrNoExecutor: all executors of the job were given up.
	ErrNoExecutor = errors.New("no executor is left")
	// ErrNoModel: the program declares no such model.
	ErrNoModel = errors.New("there is no model")
	// ErrNoVersion: a version of a model isn't there.
	ErrNoVersion = errors.New("the version of the model is not there")
	// ErrEmptyModel: a version's file holds nothing.
	ErrEmptyModel = errors.New("the file of the version is empty")
	// ErrNoModelStore: versions can't be published without a store.
	ErrNoModelStore = errors.New("the job has no model store: start it with --conf models.store=URL, a place that every node of the cluster reaches")
	// ErrNotDriver: what works on the active driver only was called elsewhere.
	ErrNotDriver = errors.New("this works on the active driver only: in OnDriver, a driver task or an output such as ForEachBatch")
	// ErrEndless: an input can't be read until its end.
	ErrEndless = errors.New("the input can't tell where its end is, which --until-end needs: run the program without the flag, or with inputs that end, such as files and topics; sockets have no end")
	// ErrBatchFailed: a batch failed and with it the job.
	ErrBatchFailed = errors.New("batch failed")
)

// BuildError lists what is wrong with the user's program.
type BuildError struct {
	App  string
	Errs []error
}

// Error lists the errors, each with its place in the user's program.
func (e *BuildError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v:", ErrBuild)
	for _, err := range e.Errs {
		b.WriteString("\n  " + strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	return b.String()
}

// Unwrap returns ErrBuild and the errors.
func (e *BuildError) Unwrap() []error { return append([]error{ErrBuild}, e.Errs...) }

// BatchError says which batch and output failed.
type BatchError struct {
	Seq    uint64
	Output string // operator of the output
	Site   lineage.Site
	Err    error
}

// Error names the batch, the output and the cause.
func (e *BatchError) Error() string {
	return fmt.Sprintf("batch %d, output %s at %s: %v", e.Seq, e.Output, e.Site, e.Err)
}

// Unwrap returns ErrBatchFailed and the cause.
func (e *BatchError) Unwrap() []error { return []error{ErrBatchFailed, e.Err} }

// DivergedError says that an executor made other RDDs than the driver: for a batch of a
// stream, or on the way to a step of a batch program.
type DivergedError struct {
	Batch    uint64   // 0 in a batch program
	Step     uint64   // counts a batch program's actions and values from 1
	Name     string   // of the executor
	Driver   []string // what the driver made, one line for each RDD
	Executor []string // what the executor made
}

// Error says which batch or step differs and how.
func (e *DivergedError) Error() string {
	where := fmt.Sprintf("executor %s generates other RDDs for batch %d than the driver", e.Name, e.Batch)
	if e.Step > 0 {
		where = fmt.Sprintf("step %d of the copy on executor %s isn't the driver's; what differs between processes (time, random numbers, files, environment) belongs in rdd.Value", e.Step, e.Name)
	}
	return fmt.Sprintf("%v: %s\n%s", ErrDiverged, where, lineage.Diff("driver", e.Driver, "executor", e.Executor))
}

// Unwrap returns ErrDiverged.
func (e *DivergedError) Unwrap() error { return ErrDiverged }
