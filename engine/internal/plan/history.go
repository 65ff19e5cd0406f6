package plan

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// History holds the allocations that batches may reach back to, with that of the newest
// batch. It is safe for concurrent use.
type History struct {
	mu     sync.Mutex
	allocs []*Allocation // Seq ascends without gaps
	made   map[madeOf]any
}

// madeOf names what was made of a batch's allocation for a stream.
type madeOf struct {
	alloc  *Allocation
	stream int32
}

// Made returns what f makes of an allocation for a stream, a function of these alone: the
// next batches that reach back to it ask again. It is kept as long as the allocation.
func (h *History) Made(a *Allocation, stream int32, f func() any) any {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := madeOf{a, stream}
	v, ok := h.made[key]
	if ok {
		return v
	}
	v = f()
	if h.at(a.Seq) == a {
		if h.made == nil {
			h.made = make(map[madeOf]any)
		}
		h.made[key] = v
	}
	return v
}

// Add adds an allocation, which follows the newest one. One that is there already does no
// harm; after a gap the history begins anew.
func (h *History) Add(a *Allocation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.allocs)
	switch {
	case n > 0 && a.Seq <= h.allocs[n-1].Seq:
		return
	case n > 0 && a.Seq > h.allocs[n-1].Seq+1:
		h.allocs, h.made = nil, nil
	}
	h.allocs = append(h.allocs, a)
}

// Forget drops the allocations before the given one.
func (h *History) Forget(before uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.allocs = slices.DeleteFunc(h.allocs, func(a *Allocation) bool { return a.Seq < before })
	maps.DeleteFunc(h.made, func(k madeOf, _ any) bool { return k.alloc.Seq < before })
}

// Reset drops all.
func (h *History) Reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.allocs, h.made = nil, nil
}

// Before returns the allocation of the batch before a, nil if a is the job's first. An
// error says that it was forgotten, or never told.
func (h *History) Before(a *Allocation) (*Allocation, error) {
	if a.Seq <= 1 {
		return nil, nil
	}
	if before := h.At(a.Seq - 1); before != nil {
		return before, nil
	}
	return nil, fmt.Errorf("%w: batch %d isn't known here", ErrHistory, a.Seq-1)
}

// At returns the allocation of a batch, nil if it isn't known.
func (h *History) At(seq uint64) *Allocation {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at(seq)
}

// From returns what the oldest known batch at or after seq read of an input, nil if none of
// them did: batches that are forgotten meanwhile are passed over at once.
func (h *History) From(seq uint64, input int32) *InputAllocation {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.allocs {
		if a.Seq < seq {
			continue
		}
		if share := a.Input(input); share != nil {
			return share
		}
	}
	return nil
}

// at is At; mu is held.
func (h *History) at(seq uint64) *Allocation {
	if len(h.allocs) == 0 || seq < h.allocs[0].Seq || seq > h.allocs[len(h.allocs)-1].Seq {
		return nil
	}
	return h.allocs[seq-h.allocs[0].Seq]
}

// Since returns the first batch that a window of the given length reaches back to which
// ends at a: those of the time (t-length, t]. It is a's own for a length of 0.
func (h *History) Since(a *Allocation, length time.Duration) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	since, begin := a.Seq, a.TimeNanos-int64(length)
	for _, p := range slices.Backward(h.allocs) {
		if p.Seq >= a.Seq {
			continue
		}
		if p.TimeNanos <= begin {
			break
		}
		since = p.Seq
	}
	return since
}
