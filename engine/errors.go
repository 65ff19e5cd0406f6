package engine

import (
	"errors"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// Errors of this package, for errors.Is.
var (
	// ErrUsage: the command line is wrong. The process exits with 2.
	ErrUsage = plan.ErrUsage
	// ErrBuild: the program's build function reported errors or panicked.
	ErrBuild = plan.ErrBuild
	// ErrDiverged: two processes built different graphs from one program.
	ErrDiverged = plan.ErrDiverged
	// ErrAmbiguous: operators that a loop declares can't be told apart.
	ErrAmbiguous = plan.ErrAmbiguous
	// ErrCorruptLog: bytes of the batch log or of an allocation are broken.
	ErrCorruptLog = plan.ErrCorruptLog
	// ErrFormat: bytes were written by a version that this one doesn't know.
	ErrFormat = plan.ErrFormat
	// ErrOtherProgram: the checkpoint belongs to another program or graph.
	ErrOtherProgram = plan.ErrOtherProgram
	// ErrHistory: a batch reaches back to one that was forgotten or never told.
	ErrHistory = plan.ErrHistory
	// ErrSlides: the streams of an operator have their RDDs in different batches.
	ErrSlides = plan.ErrSlides
	// ErrWindow: a window's length or slide doesn't fit the stream that it is of.
	ErrWindow = errors.New("the window doesn't fit")
	// ErrState: a keyed state, or an option of it, isn't right.
	ErrState = errors.New("the keyed state isn't right")
	// ErrLocked: another process uses the checkpoint directory.
	ErrLocked = plan.ErrLocked
	// ErrStopped: the stream has been stopped.
	ErrStopped = plan.ErrStopped
	// ErrInterrupted: a batch program was told to end before it had. The process exits
	// with 130.
	ErrInterrupted = plan.ErrInterrupted
	// ErrNoExecutor: all executors of the job were given up.
	ErrNoExecutor = plan.ErrNoExecutor
	// ErrNoModel: the program declares no such model.
	ErrNoModel = plan.ErrNoModel
	// ErrNoVersion: a version of a model isn't there.
	ErrNoVersion = plan.ErrNoVersion
	// ErrEmptyModel: a version's file holds nothing.
	ErrEmptyModel = plan.ErrEmptyModel
	// ErrNoModelStore: versions can't be published without a store.
	ErrNoModelStore = plan.ErrNoModelStore
	// ErrNotDriver: what works on the active driver only was called elsewhere.
	ErrNotDriver = plan.ErrNotDriver
	// ErrEndless: an input can't be read until its end.
	ErrEndless = plan.ErrEndless
	// ErrBatchFailed: a batch failed and with it the job.
	ErrBatchFailed = plan.ErrBatchFailed

	errNoName  = errors.New("the name is empty")
	errNoBatch = errors.New("there is no batch yet: call it in a function of Transform, with the batch that this is given")
)

// BuildError lists what is wrong with the user's program: App is its name, Errs
// are the errors, each with its place in the program. It wraps [ErrBuild] and
// the errors.
type BuildError = plan.BuildError

// BatchError says which batch and output failed: Seq is the batch's number,
// Output and Site are the output's operator and place, Err is the cause. It
// wraps [ErrBatchFailed] and the cause.
type BatchError = plan.BatchError

// DivergedError says that an executor generated other RDDs than the driver: Batch
// is the batch's number, Name the executor's, Driver and Executor have one line
// for each RDD that they generated. It wraps [ErrDiverged].
type DivergedError = plan.DivergedError
