package shuffle

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/hibana-engine/hibana/scheduler/block"
)

// Writer collects the blocks of one attempt of a map task. Nobody sees them
// before Commit. What the budget has no room for goes to a file. It implements
// task.BlockWriter and is used by one goroutine.
type Writer struct {
	store   *Store
	task    *block.Task
	id      MapID
	reduces int
	blocks  []written
	spilled int         // of blocks, those before are in the file
	file    *block.File // nil as long as all is in memory
	size    int64       // memory that blocks take
	keeper  keeper
	sorted  bool // blocks came in the order of their reduce partitions
	closed  bool
}

// written is a block and the reduce partition it is for.
type written struct {
	reduce int
	block  kept // without its bytes if it is in the file
	place  place
}

// Writer returns the writer of one attempt, whose blocks are for that many reduce
// partitions; ctx is the task's. The caller ends it with Commit or Abort.
func (s *Store) Writer(ctx context.Context, id MapID, reduces int) *Writer {
	return &Writer{store: s, task: s.kept.NewTask(ctx), id: id, reduces: reduces, sorted: true, blocks: make([]written, 0, min(reduces, 64))}
}

// WriteBlock keeps a block for a reduce partition.
func (w *Writer) WriteBlock(reduce int, b []byte) error {
	switch {
	case w.closed:
		return ErrWriterClosed
	case reduce < 0 || reduce >= w.reduces:
		return fmt.Errorf("writing a block for reduce partition %d of a shuffle that has %d", reduce, w.reduces)
	case len(b) == 0:
		return nil
	}
	if n := len(w.blocks); n > 0 && w.blocks[n-1].reduce > reduce {
		w.sorted = false
	}
	k := w.keeper.keep(b)
	w.blocks = append(w.blocks, written{reduce: reduce, block: k})
	if w.task.Grow(k.size()) {
		w.size += k.size()
		return nil
	}
	return w.spill()
}

// spill writes the blocks that are in memory to the file.
func (w *Writer) spill() (err error) {
	if w.file == nil {
		if w.file, err = w.store.kept.Disk().NewFile(); err != nil {
			return w.failed(err)
		}
	}
	for i := w.spilled; i < len(w.blocks); i++ {
		b := &w.blocks[i]
		if b.place, err = b.block.appendTo(w.file); err != nil {
			return w.failed(err)
		}
		b.block = kept{n: b.block.n}
	}
	w.spilled = len(w.blocks)
	w.task.Shrink(w.size)
	w.size = 0
	return nil
}

func (w *Writer) failed(err error) error {
	return fmt.Errorf("spilling the output of map task %d of shuffle %d in batch %d: %w", w.id.Map, w.id.Shuffle, w.id.Batch, err)
}

// Commit makes the attempt's output visible as a whole and returns its size for
// each reduce partition. If the batch was forgotten meanwhile nothing is kept,
// and the error says [ErrForgotten].
func (w *Writer) Commit() ([]int64, error) {
	if w.closed {
		return nil, ErrWriterClosed
	}
	if err := w.finish(); err != nil {
		w.Abort()
		return nil, err
	}
	w.sort()
	first, bytes := make(index, w.reduces+1), make([]int64, w.reduces)
	for i, b := range w.blocks {
		first[b.reduce+1] = int32(i + 1)
		bytes[b.reduce] += int64(b.block.n)
	}
	for r := range w.reduces { // a partition without blocks begins where the last one ended
		first[r+1] = max(first[r+1], first[r])
	}
	if err := w.store.commit(w.task, w.id, w.output(first)); err != nil {
		w.file = nil // it was discarded
		w.Abort()
		return nil, err
	}
	w.end()
	return bytes, nil
}

// sort brings the blocks into the order of their reduce partitions.
func (w *Writer) sort() {
	if !w.sorted {
		slices.SortStableFunc(w.blocks, func(a, b written) int { return cmp.Compare(a.reduce, b.reduce) })
		w.sorted = true
	}
}

// Small returns all blocks in the order of their reduce partitions if they are so few
// bytes that they may go with the task's status, else nil. It is called before Commit,
// which keeps them too.
func (w *Writer) Small() []byte {
	if w.closed || w.file != nil || w.size > maxSmall || slices.ContainsFunc(w.blocks, func(b written) bool { return b.block.packed != nil }) {
		return nil
	}
	w.sort()
	all := make([]byte, 0, w.size)
	for _, b := range w.blocks {
		all = append(all, b.block.plain...)
	}
	return all
}

// finish ends the file, if there is one: then all goes there.
func (w *Writer) finish() error {
	if w.file == nil {
		return nil
	}
	if err := w.spill(); err != nil {
		return err
	}
	if err := w.file.Finish(); err != nil {
		return w.failed(err)
	}
	return nil
}

// output returns what was written, of which the index is known.
func (w *Writer) output(first index) output {
	if w.file != nil {
		places := make([]place, len(w.blocks))
		for i, b := range w.blocks {
			places[i] = b.place
		}
		return &diskOutput{first, w.file, places}
	}
	all := make([]kept, len(w.blocks))
	for i, b := range w.blocks {
		all[i] = b.block
	}
	o := &memoryOutput{index: first, all: all, size: w.size, disk: w.store.kept.Disk()}
	o.unread.of(first)
	return o
}

// Abort drops what was written. After Commit it does nothing, so it may be
// deferred.
func (w *Writer) Abort() {
	if w.closed {
		return
	}
	if w.file != nil {
		w.file.Remove()
	}
	w.end()
}

func (w *Writer) end() {
	w.task.Close()
	w.closed, w.blocks, w.file, w.keeper = true, nil, nil, keeper{}
}
