package batchlog

import "slices"

// What things count for beyond their contents, in bytes. It is more than their
// encoding takes.
const (
	valueBytes = 32
	batchBytes = 64
	doneBytes  = 64 // an output of a batch: a state of bounded size stays below the values that a message may hold
)

// Size is what the state counts for, in bytes: what the growths add up to that
// Commit was told.
func (s *State) Size() int {
	n := len(s.Header) + len(s.Last.Data)
	for _, v := range s.Values {
		n += v.size()
	}
	for _, p := range s.Pending {
		n += p.size()
	}
	for _, p := range s.Past {
		n += p.size()
	}
	return n
}

func (v *Value) size() int { return valueBytes + len(v.Name) + len(v.Data) }

func (b Batch) size() int { return batchBytes + len(b.Data) + doneBytes*len(b.Done) }

// growth returns by how many bytes completions make the state grow; it is below 0
// when they end batches.
func (s *State) growth(done []Completion) (n int) {
	ended := make(map[uint64]bool)
	for _, c := range done {
		if at, found := s.pending(c.Seq); found && c.Output == AllOutputs && !ended[c.Seq] {
			ended[c.Seq] = true
			n -= s.Pending[at].size()
			if s.keeps(c.Seq) {
				n += s.Pending[at].asRecorded().size()
			}
		}
	}
	added := make(map[Completion]bool)
	for _, c := range done {
		at, found := s.pending(c.Seq)
		if !found || ended[c.Seq] || added[c] {
			continue
		}
		if _, known := slices.BinarySearch(s.Pending[at].Done, c.Output); !known {
			added[c] = true
			n += doneBytes
		}
	}
	return n
}
