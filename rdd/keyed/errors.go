package keyed

import "errors"

// Errors of this package, for errors.Is.
var (
	// ErrNotTable: what is read isn't a file of a table.
	ErrNotTable = errors.New("not a file of keyed state")
	// ErrVersion: the file has a format that this version of the engine doesn't know.
	ErrVersion = errors.New("another version of the format")
	// ErrCorrupt: the file isn't what was written.
	ErrCorrupt = errors.New("the file of keyed state is damaged")
	// ErrTruncated: the file ends before it should.
	ErrTruncated = errors.New("the file of keyed state was cut off")
	// ErrTypes: the file holds keys or values of other types.
	ErrTypes = errors.New("keys or values of another type")
	// ErrOtherTable: the file is of another table or partition.
	ErrOtherTable = errors.New("the state of another table or partition")
	// ErrSequence: the files are not a base and the deltas that follow it.
	ErrSequence = errors.New("the files don't follow each other")
	// ErrForgotten: a delta can't be written, since removals that belong into it were
	// forgotten: write a base.
	ErrForgotten = errors.New("removals were forgotten")
)
