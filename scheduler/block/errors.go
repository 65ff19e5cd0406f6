package block

import (
	"errors"

	"github.com/hibana-engine/hibana/rdd/frame"
)

// Errors of this package, for errors.Is.
var (
	// ErrNoBlock: the store has no such block, or had it and dropped it while it
	// was read.
	ErrNoBlock = errors.New("no such block")
	// ErrForgotten: the block belongs to a batch that was forgotten.
	ErrForgotten = errors.New("the batch was forgotten")
	// ErrCorrupt: what was read isn't what was written.
	ErrCorrupt = frame.ErrCorrupt
	// ErrDiskFull: the disk that blocks are written to has no room.
	ErrDiskFull = errors.New("the disk is full")
	// ErrFull: the budget is full and nothing in it can go.
	ErrFull = errors.New("the memory for blocks is full")
	// ErrClosed: the store or the task is closed.
	ErrClosed = errors.New("closed")
)
