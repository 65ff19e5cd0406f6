package batchlog

import (
	"cmp"
	"fmt"
	"slices"
)

// State is what is recorded of a job. The zero value is of one of which nothing
// is. It is changed by its methods only; payloads are shared with callers, and
// nobody writes to them.
type State struct {
	Header  []byte  `msgpack:"h"` // nil before the first driver's
	Values  []Value `msgpack:"vals"`
	Last    Batch   `msgpack:"last"` // the newest batch, Seq 0 before the first; its Done is unused
	Pending []Batch `msgpack:"pend"` // batches that aren't complete. Invariant: Seq ascends and is at most Last.Seq
	// Past are complete batches that later ones reach back to: those from the Keep of the
	// newest batch on. Seq ascends; their Done is unused.
	Past []Batch `msgpack:"past,omitempty"`
}

// Value is a recorded value.
type Value struct {
	Name string `msgpack:"n"`
	Data []byte `msgpack:"d"`
}

// Batch is a batch and which of its outputs are done.
type Batch struct {
	Seq   uint64  `msgpack:"seq"`
	Epoch uint64  `msgpack:"epoch"`          // of the driver that allocated it
	Data  []byte  `msgpack:"d"`              // the allocation
	Keep  uint64  `msgpack:"keep,omitempty"` // the first batch that this one and later ones reach back to, 0 for none before it
	Done  []int32 `msgpack:"done"`           // ascending
}

// Completion says that an output of a batch is done. AllOutputs as its output
// means that the batch is complete.
type Completion struct {
	Seq    uint64 `msgpack:"s"`
	Output int32  `msgpack:"o"`
}

// AllOutputs as a completion's output means all of the batch's outputs.
const AllOutputs int32 = -1

// pending finds a batch that isn't complete.
func (s *State) pending(seq uint64) (at int, found bool) {
	return slices.BinarySearchFunc(s.Pending, seq, bySeq)
}

// bySeq orders batches.
func bySeq(b Batch, seq uint64) int { return cmp.Compare(b.Seq, seq) }

// Restore adds a batch of a state that was written down, in ascending order.
func (s *State) Restore(b Batch, complete bool) {
	s.Last = b.asRecorded()
	if !complete {
		s.Pending = append(s.Pending, b)
	}
}

// RestorePast adds a complete batch of a state that was written down, before those that
// aren't, in ascending order.
func (s *State) RestorePast(b Batch) { s.Past = append(s.Past, b.asRecorded()) }

// asRecorded returns a batch of which no output is done.
func (b Batch) asRecorded() Batch {
	b.Done = nil
	return b
}

// Clone returns a copy that shares payloads only.
func (s *State) Clone() State {
	c := *s
	c.Values = slices.Clone(s.Values)
	c.Pending = slices.Clone(s.Pending)
	c.Past = slices.Clone(s.Past)
	for i := range c.Pending {
		c.Pending[i].Done = slices.Clone(c.Pending[i].Done)
	}
	return c
}

// Check makes sure of what the methods keep true, in a state that was read.
func (s *State) Check() error {
	last := uint64(0)
	for _, p := range s.Past {
		if p.Seq <= last || p.Seq > s.Last.Seq {
			return fmt.Errorf("past batch %d after %d, the last is %d", p.Seq, last, s.Last.Seq)
		}
		if _, found := s.pending(p.Seq); found {
			return fmt.Errorf("past batch %d isn't complete", p.Seq)
		}
		last = p.Seq
	}
	last = 0
	for _, p := range s.Pending {
		if p.Seq <= last || p.Seq > s.Last.Seq {
			return fmt.Errorf("batch %d after %d, the last is %d", p.Seq, last, s.Last.Seq)
		}
		if !slices.IsSorted(p.Done) {
			return fmt.Errorf("batch %d: outputs %v are done", p.Seq, p.Done)
		}
		last = p.Seq
	}
	return nil
}
