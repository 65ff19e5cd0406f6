package block

import (
	"container/list"
	"context"

	"github.com/hibana-engine/hibana/rdd/task"
)

// mostSpent bounds the bytes of blocks in memory that aren't expected to be read again: so
// many, or a part of the budget if that is less.
const (
	mostSpent = 64 << 20
	spentPart = 8
)

// spent are the entries that go before others when some are evicted.
type spent struct {
	list  list.List // the one that was spent first in front
	bytes int64     // that they keep
}

// Spend says that a block was read by all who were to read it. It can be read again, but
// what there is more of such blocks than a little goes to disk as others are put, also
// where the budget has room.
func (s *Store) Spend(id ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.batches[id.Batch][id.Key]
	if e == nil || e.place == nil || e.spent || e.level == task.MemoryOnly {
		return // it isn't in memory, is being evicted, or would be lost
	}
	s.unlist(e)
	e.place, e.spent = s.spent.list.PushBack(e), true
	s.spent.bytes += e.kept
}

// unlist takes an entry off the list of those that can be evicted, if it is there. mu is
// held.
func (s *Store) unlist(e *entry) {
	switch {
	case e.place == nil:
	case e.spent:
		s.spent.list.Remove(e.place)
		s.spent.bytes -= e.kept
	default:
		s.recent.Remove(e.place)
	}
	e.place, e.spent = nil, false
}

// tooMuchSpent returns the entry that was spent first if those take more than they should,
// else nil. mu is held.
func (s *Store) tooMuchSpent() *entry {
	if s.spent.bytes <= min(mostSpent, s.budget.Limit()/spentPart) {
		return nil
	}
	return s.spent.list.Front().Value.(*entry)
}

// evictSpent evicts blocks that are spent until they are few, or ctx ends. What can't be
// written stays until there is no memory for it.
func (s *Store) evictSpent(ctx context.Context) {
	for ctx.Err() == nil {
		if n, err := s.evict(s.tooMuchSpent); n == 0 || err != nil {
			return
		}
	}
}
