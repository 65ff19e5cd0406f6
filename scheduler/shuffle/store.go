package shuffle

import (
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler/block"
)

// Store holds what the map tasks of one executor wrote, as blocks of a block.Store, until
// that forgets their batch: those that were committed first go to disk when its budget is
// full, and before that those of which all has been read. A task that reads them is only
// tried again after a loss, and other jobs seldom read them. It is safe for concurrent use.
type Store struct {
	kept *block.Store

	mu      sync.RWMutex // held for reading while an output is committed
	retired bool
}

// key is the key of an output in the block store, which others may use too.
type key struct {
	store *Store
	id    MapID
}

// NewStore returns an empty store whose outputs are blocks of another.
func NewStore(kept *block.Store) *Store { return &Store{kept: kept} }

// name is the name of an output in the block store.
func (s *Store) name(id MapID) block.ID { return block.ID{Batch: id.Batch, Key: key{s, id}} }

// mine reports whether a block is an output of this store.
func (s *Store) mine(id block.ID) bool {
	k, ok := id.Key.(key)
	return ok && k.store == s
}

// Blocks yields the blocks that an output has for one reduce partition, in the order in
// which they were written. The caller doesn't change them; they aren't reused. An output
// that the store doesn't have, or that is damaged, is an error that says [ErrNoOutput]; it
// is the last that is yielded.
func (s *Store) Blocks(id MapID, reduce int) iter.Seq2[[]byte, error] {
	return read(s, id, reduce, output.blocks)
}

// Pieces yields the same blocks as they are sent to other processes. A piece is good
// until the next.
func (s *Store) Pieces(id MapID, reduce int) iter.Seq2[Piece, error] {
	return read(s, id, reduce, output.pieces)
}

// read yields what an output has for a reduce partition, in one form.
func read[T any](s *Store, id MapID, reduce int, form func(output, int) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		v, ok := s.kept.Peek(s.name(id)) // it isn't needed more because it was read
		if !ok {
			yield(none, ErrNoOutput)
			return
		}
		out := v.(output)
		if reduce < 0 || reduce >= out.reduces() {
			yield(none, fmt.Errorf("%w: it has %d reduce partitions, not %d", ErrNoOutput, out.reduces(), reduce+1))
			return
		}
		for b, err := range form(out, reduce) {
			if err != nil {
				s.damaged(id, err)
				yield(none, fmt.Errorf("%w: %w", ErrNoOutput, err))
				return
			}
			if !yield(b, nil) {
				return
			}
		}
		// A stream's outputs go with their batch, soon, and stay in memory until then.
		if m, is := out.(*memoryOutput); is && id.Batch == 0 && m.unread.done(reduce) {
			s.kept.Spend(s.name(id))
		}
	}
}

// damaged drops an output that can't be read, so that nobody counts on it.
func (s *Store) damaged(id MapID, err error) {
	if errors.Is(err, block.ErrCorrupt) {
		s.kept.Delete(s.name(id))
	}
}

// has reports whether an output is there.
func (s *Store) has(id MapID) bool {
	_, ok := s.kept.Peek(s.name(id))
	return ok
}

// Clear drops all outputs, as if the executor had been lost.
func (s *Store) Clear() { s.kept.Drop(s.mine) }

// Retire is Clear for a store whose time is over: nothing can be committed any more.
func (s *Store) Retire() {
	s.mu.Lock()
	s.retired = true
	s.mu.Unlock()
	s.Clear()
}

// Len returns the number of outputs held.
func (s *Store) Len() int { return s.kept.Count(s.mine) }

// commit makes an output visible. Its bytes are the task's already.
func (s *Store) commit(t *block.Task, id MapID, out output) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	err := ErrRetired
	if s.retired {
		out.Discard()
	} else {
		err = s.kept.Put(t, s.name(id), task.MemoryAndDisk, out)
	}
	if errors.Is(err, block.ErrForgotten) {
		err = ErrForgotten
	}
	if err != nil {
		return fmt.Errorf("committing map task %d of shuffle %d in batch %d: %w", id.Map, id.Shuffle, id.Batch, err)
	}
	return nil
}
