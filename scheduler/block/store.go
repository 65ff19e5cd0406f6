package block

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hibana-engine/hibana/rdd/task"
)

// Store holds blocks under a budget until they are dropped or their batch is forgotten.
//
// THREADING: safe for concurrent use. mu isn't held while a value is computed, spilled
// or discarded.
type Store struct {
	budget *Budget
	disk   *Disk

	mu      sync.Mutex
	batches map[uint64]map[any]*entry
	recent  list.List // of entries that can be evicted, the one used last in front
	spent   spent     // those that go before them
	since   uint64    // batches before it are forgotten
	report  *Report   // the newest, nil if nobody asked for one
	pinned  pinned
	closed  bool
}

// ID names a block. Key is a comparable value of its owner's own type, as keys of
// contexts are.
type ID struct {
	Batch uint64
	Key   any
}

// entry is a block that is there, or is being computed.
type entry struct {
	id       ID
	level    task.Level
	value    Value         // nil while it is computed
	kept     int64         // bytes of the budget
	computed chan struct{} // closed when it is settled; nil for one that was put
	settled  bool          // it was computed, or couldn't be
	place    *list.Element // in recent or spent; nil for one that can't be evicted, or is being
	spent    bool          // place is in spent
	gone     bool          // it is the store's no more
}

// NewStore returns an empty store with a budget of limit bytes and a disk in a
// directory, "" for the system's directory of temporary files. Close ends it.
func NewStore(limit int64, dir string) *Store {
	s := &Store{budget: NewBudget(limit), disk: NewDisk(dir), batches: make(map[uint64]map[any]*entry)}
	s.pinned.series = make(map[series]*versions)
	s.budget.Register(s)
	return s
}

// Budget returns the store's budget.
func (s *Store) Budget() *Budget { return s.budget }

// Disk returns where the store's blocks go that don't fit.
func (s *Store) Disk() *Disk { return s.disk }

// Put makes a value a block, in the place of one of that name. The value's bytes are
// taken from what the task holds. If the batch was forgotten the value is discarded, and
// the error says [ErrForgotten].
func (s *Store) Put(t *Task, id ID, level task.Level, v Value) error {
	e := &entry{id: id, level: level}
	old, ok := s.add(t, e, v)
	if old != nil {
		old.Discard()
	}
	if !ok {
		v.Discard()
		return fmt.Errorf("keeping a block of batch %d: %w", id.Batch, ErrForgotten)
	}
	s.evictSpent(t.ctx)
	return nil
}

// add makes an entry the one of its name, and returns the value that it replaced.
func (s *Store) add(t *Task, e *entry, v Value) (old Value, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || e.id.Batch < s.since {
		return nil, false
	}
	if was := s.batches[e.id.Batch][e.id.Key]; was != nil {
		old = s.strike(was)
	}
	s.place(e)
	s.fill(t, e, v)
	return old, true
}

// place gives an entry its place. mu is held.
func (s *Store) place(e *entry) {
	m := s.batches[e.id.Batch]
	if m == nil {
		m = make(map[any]*entry)
		s.batches[e.id.Batch] = m
	}
	m[e.id.Key] = e
}

// fill gives an entry its value, whose bytes the task reserved. mu is held.
func (s *Store) fill(t *Task, e *entry, v Value) {
	e.value = v
	t.detach()
	s.note(e)
	if e.level == task.Pinned {
		s.pin(e)
		return
	}
	if e.kept = t.share.Keep(v.Bytes()); e.kept > 0 {
		e.place = s.recent.PushFront(e)
	}
}

// strike takes an entry off and returns its value, nil if it has none. mu is held.
func (s *Store) strike(e *entry) Value {
	if m := s.batches[e.id.Batch]; m[e.id.Key] == e {
		delete(m, e.id.Key)
		if len(m) == 0 {
			delete(s.batches, e.id.Batch)
		}
	}
	e.gone = true
	if e.value != nil {
		s.unpin(e)
	}
	s.unlist(e)
	s.budget.Release(e.kept)
	e.kept = 0
	s.note(e)
	v := e.value
	e.value = nil
	return v
}

// Get returns the value of a block, which counts as used now.
func (s *Store) Get(id ID) (Value, bool) { return s.get(id, true) }

// Peek returns the value of a block, which doesn't count as used.
func (s *Store) Peek(id ID) (Value, bool) { return s.get(id, false) }

func (s *Store) get(id ID, used bool) (Value, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.batches[id.Batch][id.Key]
	if e == nil || e.value == nil {
		return nil, false
	}
	if used && e.place != nil && !e.spent {
		s.recent.MoveToFront(e.place)
	}
	return e.value, true
}

// Compute returns the value of a block, computed first if it isn't there. Of those who
// ask at once one computes, the others wait for it until their ctx ends. If it fails its
// error is its own: another one computes then. compute reserves the value's bytes from t
// and makes its files there. A value whose batch was forgotten meanwhile is returned, but
// isn't kept, nor is one that a killed task has computed, since its driver may have been
// deposed, or one that the disk didn't take: keep is false, and it is the caller's to
// reserve memory for and to discard.
func (s *Store) Compute(ctx context.Context, id ID, level task.Level, compute func(t *Task) (Value, error)) (v Value, keep bool, err error) {
	for {
		if ctx.Err() != nil { // nobody is to wait for what won't be kept
			return nil, false, context.Cause(ctx)
		}
		e, mine := s.claim(id, level)
		if mine {
			return s.compute(ctx, e, compute)
		}
		if v, ok := s.Get(id); ok {
			return v, true, nil
		}
		if e.computed == nil {
			continue // it was replaced or dropped just now
		}
		select {
		case <-e.computed:
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
}

// claim returns the entry of a name. It is new, and the caller's to compute, if mine.
func (s *Store) claim(id ID, level task.Level) (e *entry, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.batches[id.Batch][id.Key]; e != nil {
		return e, false
	}
	e = &entry{id: id, level: level, computed: make(chan struct{})}
	if s.closed || id.Batch < s.since {
		e.gone = true // nobody else finds it
	} else {
		s.place(e)
	}
	return e, true
}

// compute computes an entry that was claimed.
func (s *Store) compute(ctx context.Context, e *entry, compute func(*Task) (Value, error)) (v Value, keep bool, err error) {
	t := s.NewTask(ctx)
	t.giveUp = func() { s.settle(e, t, nil) }
	var kept Value // what is to be
	defer func() { // also if compute panics
		keep = s.settle(e, t, kept)
		t.Close()
	}()
	v, err = compute(t)
	if err != nil || v == nil {
		return nil, false, err
	}
	kept, err = leveled(e.level, v)
	switch {
	case task.IsUnwritten(err): // it is the caller's, and the next one computes it
		return v, false, nil
	case err != nil:
		return nil, false, err
	}
	return kept, true, nil
}

// settle ends the computation of an entry, with a value or, nil, without one. The value
// has the task's runs. It reports whether it is kept.
func (s *Store) settle(e *entry, t *Task, v Value) (kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v != nil {
		t.detach()
	}
	switch {
	case e.gone:
	case v != nil && t.ctx.Err() == nil:
		s.fill(t, e, v)
		kept = true
	default:
		s.strike(e)
	}
	if !e.settled {
		e.settled = true
		close(e.computed)
	}
	return kept
}

// leveled brings a value where its level says.
func leveled(level task.Level, v Value) (Value, error) {
	if level != task.DiskOnly {
		return v, nil
	}
	return v.Spill()
}

// Evict implements [Holder]: it spills or drops the blocks that are spent, then those that
// were used least recently. Where a block can't be written it stays, unless it can be
// computed again.
func (s *Store) Evict(ctx context.Context, n int64) (freed int64) {
	for freed < n && ctx.Err() == nil {
		m, err := s.evict(s.next)
		if m == 0 || err != nil {
			break
		}
		freed += m
	}
	return freed
}

// next returns the entry that is to be evicted next, nil if there is none. mu is held.
func (s *Store) next() *entry {
	next := s.spent.list.Front()
	if next == nil {
		next = s.recent.Back()
	}
	if next == nil {
		return nil
	}
	return next.Value.(*entry)
}

// evict spills or drops the block that next returns, with mu held, and returns the bytes
// that it kept, 0 if there is none.
func (s *Store) evict(next func() *entry) (freed int64, err error) {
	s.mu.Lock()
	e := next()
	if e == nil {
		s.mu.Unlock()
		return 0, nil
	}
	kept, v := e.kept, e.value
	if e.level == task.MemoryOnly {
		s.strike(e)
		s.mu.Unlock()
		v.Discard()
		return kept, nil
	}
	s.unlist(e)
	s.mu.Unlock()

	spilled, err := v.Spill()
	freed, gone, err := s.evicted(e, spilled, err)
	if gone && spilled != nil {
		spilled.Discard()
	}
	return freed, err
}

// evicted puts what was spilled in the place of an entry's value, unless the entry is
// gone, with all that it kept.
func (s *Store) evicted(e *entry, spilled Value, err error) (freed int64, gone bool, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.gone:
		return 1, true, nil // its bytes were released by whoever took it off
	case errors.Is(err, task.ErrCantSpill), // nor later: who needs it computes it and learns why
		task.IsUnwritten(err) && e.isPartition():
		freed = e.kept
		s.strike(e)
		return freed, false, nil
	case err != nil:
		e.place = s.recent.PushFront(e) // others first, next time
		return 0, false, err
	}
	freed = e.kept - spilled.Bytes()
	e.value, e.kept = spilled, e.kept-freed
	s.budget.Release(freed)
	return freed, false, nil
}

// isPartition reports whether an entry is a kept partition, which can be computed again.
func (e *entry) isPartition() bool { _, is := e.id.Key.(task.Block); return is }

// Drop drops the blocks whose names satisfy gone.
func (s *Store) Drop(gone func(ID) bool) {
	s.mu.Lock()
	var values []Value
	for _, m := range s.batches {
		values = s.strikeAll(values, m, gone)
	}
	s.mu.Unlock()
	discard(values)
}

// Delete drops a block, if it is there.
func (s *Store) Delete(id ID) {
	s.mu.Lock()
	var v Value
	if e := s.batches[id.Batch][id.Key]; e != nil {
		v = s.strike(e)
	}
	s.mu.Unlock()
	if v != nil {
		v.Discard()
	}
}

// Forget drops the blocks of the batches before until; more of them aren't kept before
// [Store.Reopen].
func (s *Store) Forget(until uint64) {
	s.mu.Lock()
	s.since = max(s.since, until)
	var values []Value
	for batch, m := range s.batches {
		if batch < s.since {
			values = s.strikeAll(values, m, func(ID) bool { return true })
		}
	}
	s.report.forget(s.since)
	s.mu.Unlock()
	discard(values)
}

// Reopen lets blocks of forgotten batches be kept again. The next driver may compute a batch
// anew whose completion its predecessor made no longer known to anybody but the executors.
func (s *Store) Reopen() {
	s.mu.Lock()
	s.since = 0
	s.mu.Unlock()
}

// strikeAll takes entries off and adds their values to values. mu is held.
func (s *Store) strikeAll(values []Value, m map[any]*entry, gone func(ID) bool) []Value {
	for _, e := range m {
		if !gone(e.id) {
			continue
		}
		if v := s.strike(e); v != nil {
			values = append(values, v)
		}
	}
	return values
}

func discard(values []Value) {
	for _, v := range values {
		v.Discard()
	}
}

// Len returns the number of blocks.
func (s *Store) Len() int { return s.Count(func(ID) bool { return true }) }

// Count returns the number of blocks whose names satisfy of.
func (s *Store) Count(of func(ID) bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, m := range s.batches {
		for k, e := range m {
			if e.value != nil && of(ID{e.id.Batch, k}) {
				n++
			}
		}
	}
	return n
}

// Close drops all blocks and removes the disk's directory. Tasks must have ended.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.Drop(func(ID) bool { return true })
	return s.disk.Close()
}
