package shuffle

import (
	"slices"

	"github.com/hibana-engine/hibana/scheduler/block"
)

// ForgetShuffles drops the outputs of some of a batch's shuffles, which nobody reads any
// more.
func (s *Store) ForgetShuffles(batch uint64, shuffles []int) {
	s.kept.Drop(func(b block.ID) bool {
		k, ok := b.Key.(key)
		return ok && k.store == s && k.id.Batch == batch && slices.Contains(shuffles, int(k.id.Shuffle))
	})
}
