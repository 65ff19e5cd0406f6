package shuffle

import (
	"fmt"
	"slices"
	"sync"
)

// Tracker knows on the driver which attempt of each map task counts and where
// its blocks are (Spark's MapOutputTracker). It is safe for concurrent use.
type Tracker struct {
	mu      sync.Mutex
	batches map[uint64]map[int32]*tracked
	since   uint64 // batches before it are forgotten
}

// tracked is one shuffle.
type tracked struct {
	maps    []Output // Executor is "" where there is no output
	missing int      // invariant: the number of such maps
	answer  *Outputs // what Outputs returned since the last change
}

// NewTracker returns a tracker that knows of no shuffle.
func NewTracker() *Tracker {
	return &Tracker{batches: make(map[uint64]map[int32]*tracked)}
}

// Register makes a shuffle with that many map partitions known. For one that is
// known it does nothing.
func (t *Tracker) Register(batch uint64, shuffle int32, maps int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if batch < t.since || t.batches[batch][shuffle] != nil {
		return
	}
	if t.batches[batch] == nil {
		t.batches[batch] = make(map[int32]*tracked)
	}
	t.batches[batch][shuffle] = &tracked{maps: make([]Output, maps), missing: maps}
}

// Add says where the output of a map task is, in place of what was known. small are its
// blocks, if they came along.
func (t *Tracker) Add(id MapID, executor string, bytes []int64, small []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.batches[id.Batch][id.Shuffle]
	if s == nil || id.Map < 0 || int(id.Map) >= len(s.maps) {
		return
	}
	if s.maps[id.Map].Executor == "" {
		s.missing--
	}
	s.maps[id.Map] = Output{Executor: executor, Attempt: id.Attempt, Bytes: bytes, Small: small}
	s.answer = nil
}

// Remove says that the output of a map task is lost.
func (t *Tracker) Remove(batch uint64, shuffle, m int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.batches[batch][shuffle]
	if s == nil || m < 0 || int(m) >= len(s.maps) || s.maps[m].Executor == "" {
		return
	}
	s.maps[m] = Output{}
	s.missing++
	s.answer = nil
}

// Outputs returns where all the output of a shuffle is. It is an error that says
// [ErrIncomplete] if some is missing. Answers between two changes are the same.
func (t *Tracker) Outputs(batch uint64, shuffle int32) (*Outputs, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.batches[batch][shuffle]
	if s == nil {
		return nil, fmt.Errorf("shuffle %d of batch %d: %w: it isn't known", shuffle, batch, ErrIncomplete)
	}
	if s.missing > 0 {
		return nil, fmt.Errorf("shuffle %d of batch %d: %w: %d of %d", shuffle, batch, ErrIncomplete, s.missing, len(s.maps))
	}
	if s.answer == nil {
		s.answer = &Outputs{Batch: batch, Shuffle: shuffle, Maps: described(s.maps)}
	}
	return s.answer, nil
}

// described returns a copy of outputs, without small blocks if these are many.
func described(maps []Output) []Output {
	maps = slices.Clone(maps)
	bytes := 0
	for i := range maps {
		bytes += len(maps[i].Small)
	}
	for i := range maps {
		if bytes > maxSmalls {
			maps[i].Small = nil
		}
	}
	return maps
}

// Forget drops the shuffles of the batches before until, for good.
func (t *Tracker) Forget(until uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.since = max(t.since, until)
	for batch := range t.batches {
		if batch < t.since {
			delete(t.batches, batch)
		}
	}
}

// ForgetShuffle drops a shuffle of a batch, if it is known.
func (t *Tracker) ForgetShuffle(batch uint64, shuffle int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	shuffles := t.batches[batch]
	if delete(shuffles, shuffle); len(shuffles) == 0 {
		delete(t.batches, batch)
	}
}

// Len returns the number of shuffles known.
func (t *Tracker) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, shuffles := range t.batches {
		n += len(shuffles)
	}
	return n
}
