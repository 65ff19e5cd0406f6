package block

import (
	"maps"

	"github.com/hibana-engine/hibana/rdd/task"
)

// Stored says of a cached partition how it is kept.
type Stored struct {
	Block task.Block `msgpack:"i"`
	// Level is the level at which it is kept, plus one; 0 says that it is kept no longer.
	Level uint8 `msgpack:"l"`
	Bytes int64 `msgpack:"b"` // of memory
}

// Report tells a driver which cached partitions a store keeps: first all, then what has
// changed. Of a store's reports the newest is told of changes.
type Report struct {
	store   *Store
	changed map[task.Block]struct{} // under the store's mu
}

// Report returns a report that nothing was taken from.
func (p Partitions) Report() *Report {
	s := p.store
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report = &Report{store: s, changed: make(map[task.Block]struct{})}
	for _, m := range s.batches {
		for _, e := range m {
			s.note(e)
		}
	}
	return s.report
}

// note notes that an entry has got a value, or is about to lose it. mu is held.
func (s *Store) note(e *entry) {
	if b, is := e.id.Key.(task.Block); is && s.report != nil && e.value != nil {
		s.report.changed[b] = struct{}{}
	}
}

// maxTaken bounds what one Take returns, since it travels in one message.
const maxTaken = 1 << 14

// Take returns what has changed since the last call, each partition once as it is now; of
// very many the rest is for the next call.
func (r *Report) Take() []Stored {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	if len(r.changed) == 0 {
		return nil
	}
	all := make([]Stored, 0, min(len(r.changed), maxTaken))
	for b := range r.changed {
		if len(all) == maxTaken {
			break
		}
		delete(r.changed, b)
		now := Stored{Block: b}
		if e := r.store.batches[b.Batch][b]; e != nil && e.value != nil {
			now.Level, now.Bytes = 1+uint8(e.level), e.kept
		}
		all = append(all, now)
	}
	return all
}

// forget drops what isn't taken of the batches before until: the driver knows. The store's
// mu is held.
func (r *Report) forget(until uint64) {
	if r != nil {
		maps.DeleteFunc(r.changed, func(b task.Block, _ struct{}) bool { return b.Batch < until })
	}
}
