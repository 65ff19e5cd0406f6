package executor

import (
	"context"
	"slices"

	"github.com/hibana-engine/hibana/engine/internal/replay"
	"github.com/hibana-engine/hibana/rdd/lineage"
	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler/block"
)

// Follow makes the executor's copy of a batch program follow the driver of its epoch, in
// place of the copy that followed the one before: a new driver starts the program over,
// so what was kept of the old one's RDDs goes. diverged is told why the copy can't
// follow, and doesn't block.
func (e *Executor) Follow(diverged func(error)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.copy != nil {
		e.copy.Stop()
		e.left = append(e.left, e.copy)
		e.dropPartitions(func(task.Block) bool { return true })
	}
	e.copy, e.pieces = replay.NewCopy(e.program, diverged, e.forgetGone), replay.Unpacker{}
}

// dropPartitions drops the kept partitions of RDDs that are gone.
func (e *Executor) dropPartitions(gone func(task.Block) bool) {
	e.blocks.Drop(func(id block.ID) bool {
		b, is := id.Key.(task.Block)
		return is && gone(b)
	})
}

// DropCached drops what is kept of RDDs.
func (e *Executor) DropCached(rdds []lineage.ID) {
	e.dropPartitions(func(b task.Block) bool {
		return slices.Contains(rdds, lineage.ID{Batch: b.Batch, DStream: b.DStream, Ordinal: b.Ordinal})
	})
}

// forgetGone drops the blocks of shuffles and cached RDDs that a batch program doesn't
// need any more.
func (e *Executor) forgetGone(gone replay.Gone) {
	e.mu.Lock()
	store := e.store
	e.mu.Unlock()
	if len(gone.Shuffles) > 0 {
		store.ForgetShuffles(0, gone.Shuffles)
	}
	if len(gone.Cached) > 0 {
		e.dropPartitions(func(b task.Block) bool { return slices.Contains(gone.Cached, b.Ordinal) })
	}
}

// IsBatch reports whether the program is a batch program.
func (e *Executor) IsBatch() bool { return e.program.Body != nil }

// Tell tells the executor of a batch program's step. It doesn't block.
func (e *Executor) Tell(entry replay.Entry) { e.following().Tell(entry) }

// Room waits until the executor can be told more of a batch program, or ctx ends.
func (e *Executor) Room(ctx context.Context) error { return e.following().Room(ctx) }

// TellPiece is Tell for an entry that comes in pieces. One goroutine at a time calls it.
func (e *Executor) TellPiece(number uint64, piece []byte) error {
	entry, err := e.pieces.Add(number, piece)
	if entry != nil {
		e.Tell(*entry)
	}
	return err
}

// following returns the copy that follows the driver of the newest epoch.
func (e *Executor) following() *replay.Copy {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.copy
}

// stopCopies ends the copies of a batch program and waits for them.
func (e *Executor) stopCopies() {
	e.mu.Lock()
	left := e.left
	if e.copy != nil {
		e.copy.Stop()
		left = append(left, e.copy)
	}
	e.left, e.copy = nil, nil
	e.mu.Unlock()
	for _, c := range left {
		c.Wait()
	}
}
