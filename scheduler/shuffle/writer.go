package shuffle

import (
	"cmp"
	"fmt"
	"slices"
)

// Writer collects the blocks of one attempt of a map task. Nobody sees them
// before Commit. It implements task.BlockWriter and is used by one goroutine.
type Writer struct {
	store   *Store
	id      MapID
	reduces int
	blocks  []written
	size    int64
	sorted  bool // blocks came in the order of their reduce partitions
	closed  bool
}

// written is a block and the reduce partition it is for.
type written struct {
	reduce int
	block  []byte
}

// Writer returns the writer of one attempt, whose blocks are for that many
// reduce partitions. The caller ends it with Commit or Abort.
func (s *Store) Writer(id MapID, reduces int) *Writer {
	return &Writer{store: s, id: id, reduces: reduces, sorted: true, blocks: make([]written, 0, min(reduces, 64))}
}

// WriteBlock keeps a block for a reduce partition; the caller doesn't change it
// afterwards. At the store's limit it returns an error that says [ErrFull].
func (w *Writer) WriteBlock(reduce int, block []byte) error {
	switch {
	case w.closed:
		return ErrWriterClosed
	case reduce < 0 || reduce >= w.reduces:
		return fmt.Errorf("writing a block for reduce partition %d of a shuffle that has %d", reduce, w.reduces)
	case len(block) == 0:
		return nil
	}
	if err := w.store.reserve(w.id, int64(len(block))); err != nil {
		return err
	}
	w.size += int64(len(block))
	if n := len(w.blocks); n > 0 && w.blocks[n-1].reduce > reduce {
		w.sorted = false
	}
	w.blocks = append(w.blocks, written{reduce, block})
	return nil
}

// Commit makes the attempt's output visible as a whole and returns its size for
// each reduce partition. If the batch was forgotten meanwhile nothing is kept,
// and the error says [ErrForgotten].
func (w *Writer) Commit() ([]int64, error) {
	if w.closed {
		return nil, ErrWriterClosed
	}
	if !w.sorted {
		slices.SortStableFunc(w.blocks, func(a, b written) int { return cmp.Compare(a.reduce, b.reduce) })
	}
	out := &output{blocks: make([][]byte, len(w.blocks)), first: make([]int32, w.reduces+1), size: w.size}
	bytes := make([]int64, w.reduces)
	for i, b := range w.blocks {
		out.blocks[i] = b.block
		out.first[b.reduce+1] = int32(i + 1)
		bytes[b.reduce] += int64(len(b.block))
	}
	for r := range w.reduces { // a partition without blocks begins where the last one ended
		out.first[r+1] = max(out.first[r+1], out.first[r])
	}
	if err := w.store.commit(w.id, out); err != nil {
		w.Abort()
		return nil, err
	}
	w.closed, w.blocks = true, nil
	return bytes, nil
}

// Abort drops what was written. After Commit it does nothing, so it may be
// deferred.
func (w *Writer) Abort() {
	if !w.closed {
		w.store.release(w.size)
		w.closed, w.blocks = true, nil
	}
}
