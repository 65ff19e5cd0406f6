package shuffle

import "errors"

// Errors of this package, for errors.Is.
var (
	// ErrNoOutput: the store has no such output; it was never written here, or is
	// lost, or its batch was forgotten.
	ErrNoOutput = errors.New("no such map output")
	// ErrForgotten: the output belongs to a batch that was forgotten.
	ErrForgotten = errors.New("the batch was forgotten")
	// ErrRetired: the store belongs to a driver that was deposed.
	ErrRetired = errors.New("the driver was deposed")
	// ErrUnreachable: the executor that holds the output can't be reached.
	ErrUnreachable = errors.New("the executor can't be reached")
	// ErrIncomplete: some map tasks of the shuffle have no output.
	ErrIncomplete = errors.New("map outputs are missing")
	// ErrNotGiven: a task reads a shuffle whose outputs it wasn't given. That is so if
	// it should have found what is made from them in the cache.
	ErrNotGiven = errors.New("the task wasn't given its map outputs")
	// ErrWriterClosed: a block was written after its writer's Commit or Abort.
	ErrWriterClosed = errors.New("the writer is closed")
)
