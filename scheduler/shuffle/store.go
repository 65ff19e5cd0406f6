package shuffle

import (
	"fmt"
	"sync"
)

// Store holds what the map tasks of one executor wrote, in memory, until their
// batch is forgotten. It is safe for concurrent use.
type Store struct {
	limit int64 // of used

	mu      sync.RWMutex
	used    int64 // bytes of committed outputs and of open writers
	batches map[uint64]map[MapID]*output
	since   uint64 // batches before it are forgotten
}

// output is what one attempt committed. It never changes.
type output struct {
	blocks [][]byte // by reduce partition, then in the order written
	first  []int32  // where each reduce partition begins in blocks, and the end
	size   int64
}

// NewStore returns an empty store for up to limit bytes of blocks, those of
// attempts that haven't committed included.
func NewStore(limit int64) *Store {
	return &Store{limit: limit, batches: make(map[uint64]map[MapID]*output)}
}

// Blocks returns the blocks that an output has for one reduce partition, in the
// order in which they were written. The caller doesn't change them. An output
// that the store doesn't have is an error that says [ErrNoOutput].
func (s *Store) Blocks(id MapID, reduce int) ([][]byte, error) {
	s.mu.RLock()
	out := s.batches[id.Batch][id]
	s.mu.RUnlock()
	if out == nil {
		return nil, ErrNoOutput
	}
	if reduce < 0 || reduce >= len(out.first)-1 {
		return nil, fmt.Errorf("%w: it has %d reduce partitions, not %d", ErrNoOutput, len(out.first)-1, reduce+1)
	}
	return out.blocks[out.first[reduce]:out.first[reduce+1]], nil
}

// has reports whether an output is there.
func (s *Store) has(id MapID) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.batches[id.Batch][id] != nil
}

// Forget drops the outputs of the batches before until. Attempts of such
// batches that are still writing can't commit any more.
func (s *Store) Forget(until uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = max(s.since, until)
	for batch, outputs := range s.batches {
		if batch < s.since {
			s.drop(batch, outputs)
		}
	}
}

// Clear drops all outputs, as if the executor had been lost.
func (s *Store) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for batch, outputs := range s.batches {
		s.drop(batch, outputs)
	}
}

func (s *Store) drop(batch uint64, outputs map[MapID]*output) {
	for _, out := range outputs {
		s.used -= out.size
	}
	delete(s.batches, batch)
}

// Bytes returns the bytes of blocks held, those of open writers included.
func (s *Store) Bytes() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.used
}

// Len returns the number of outputs held.
func (s *Store) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := 0
	for _, outputs := range s.batches {
		n += len(outputs)
	}
	return n
}

// reserve accounts for n more bytes of an open writer.
func (s *Store) reserve(id MapID, n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > s.limit-s.used {
		return fmt.Errorf("%w: a block of %d bytes of map task %d of shuffle %d in batch %d, with %d of %d bytes in use; run more executors, or give a batch less to do (a shorter --batch-interval, a lower highest rate of its inputs)",
			ErrFull, n, id.Map, id.Shuffle, id.Batch, s.used, s.limit)
	}
	s.used += n
	return nil
}

// release gives back the bytes of a writer that didn't commit.
func (s *Store) release(n int64) {
	s.mu.Lock()
	s.used -= n
	s.mu.Unlock()
}

// commit makes an output visible. Its bytes are reserved already.
func (s *Store) commit(id MapID, out *output) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id.Batch < s.since {
		return fmt.Errorf("committing map task %d of shuffle %d in batch %d: %w", id.Map, id.Shuffle, id.Batch, ErrForgotten)
	}
	outputs := s.batches[id.Batch]
	if outputs == nil {
		outputs = make(map[MapID]*output)
		s.batches[id.Batch] = outputs
	}
	if old := outputs[id]; old != nil {
		s.used -= old.size
	}
	outputs[id] = out
	return nil
}
