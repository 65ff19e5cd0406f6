package task

import (
	"context"
	"iter"
)

// Block names a partition of an RDD that is kept.
type Block struct {
	Batch     uint64 `msgpack:"b"` // sequence number of the batch
	DStream   int32  `msgpack:"d"` // id of the DStream that made the RDD, 0 outside streams
	Ordinal   int32  `msgpack:"o"` // of the RDD within (Batch, DStream)
	Partition int32  `msgpack:"p"`

	Indeterminate bool `msgpack:"n,omitempty"` // another attempt may make it otherwise
}

// Level says where a block is kept.
type Level uint8

// The levels.
const (
	MemoryOnly    Level = iota // dropped when the memory is needed: it is computed again
	MemoryAndDisk              // written to disk when the memory is needed
	DiskOnly                   // written to disk at once
	Pinned                     // kept in memory, and not dropped when that is needed: versions of states
)

// String returns the level's name.
func (l Level) String() string {
	switch l {
	case MemoryOnly:
		return "MemoryOnly"
	case MemoryAndDisk:
		return "MemoryAndDisk"
	case DiskOnly:
		return "DiskOnly"
	case Pinned:
		return "Pinned"
	}
	return "no level"
}

// Blocks keeps the computed partitions of one executor until their batch is forgotten. It
// is safe for concurrent use. [Cache] is the one that has no limits.
type Blocks interface {
	// Compute returns what is kept of a block, computed first if nothing is. Of those who
	// ask at once one computes, the others wait for it until ctx ends. An error is that
	// one's own: another one computes then. kept is false for what nobody else gets, since
	// the batch was forgotten or the disk is full: the caller reserves its memory and discards it.
	Compute(ctx context.Context, b Block, l Level, compute func(Building) (Value, error)) (v Value, kept bool, err error)
	// Drop drops a block, which turned out to be unreadable.
	Drop(b Block)
}

// Elsewhere reads partitions that other executors keep.
type Elsewhere interface {
	// Fetch returns what the i-th executor that keeps a block sends of it, frame by frame as
	// [Sendable] says; nil if so many aren't known to keep it. An error is the last that is
	// yielded, a [*NotFetchedError].
	Fetch(ctx context.Context, b Block, i int) iter.Seq2[[]byte, error]
}

// Sendable is a Value that other executors can be sent.
type Sendable interface {
	Value
	// Send hands its contents to send, encoded, in frames that are good until it returns.
	// It ends with the first error. Any goroutine may call it.
	Send(send func(frame []byte) error) error
}

// Versioned is a Value at level [Pinned] that is a version of something, such as a state:
// it has most of its memory together with the version before, of an earlier batch.
type Versioned interface {
	Value
	// Copied returns how much of the version before was copied to make this one.
	Copied() int64
}

// Building is the memory of a block that is computed: what it reserves and the runs that
// it makes become the block's.
type Building interface {
	Memory
	// GiveUp says that the block won't be kept: who waits for it computes it.
	GiveUp()
}

// Value is what is kept of a block, in memory or on disk. Its contents never change.
type Value interface {
	// Bytes returns how much memory it takes.
	Bytes() int64
	// Spill returns a value of the same contents in a run that newRun makes. Who has this
	// one can read on. An error of the value itself, rather than of the run, says
	// [ErrCantSpill]. Any task may be the one that calls it.
	Spill(newRun func() (Run, error)) (Value, error)
	// Discard removes what it has on disk. Who reads it meanwhile gets its contents or an
	// error.
	Discard()
}
