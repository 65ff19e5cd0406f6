package shuffle

import "slices"

// ForgetShuffles drops the outputs of some of a batch's shuffles, which nobody reads any
// more.
func (s *Store) ForgetShuffles(batch uint64, shuffles []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, out := range s.batches[batch] {
		if slices.Contains(shuffles, int(id.Shuffle)) {
			s.used -= out.size
			delete(s.batches[batch], id)
		}
	}
}
