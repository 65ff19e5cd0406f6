package shuffle

import (
	"strings"
	"testing"
)

// Shuffles that are forgotten go with their bytes, and no others.
func TestForgetShuffles(t *testing.T) {
	s := newStore(t, 1<<20)
	ids := []MapID{{Batch: 0, Shuffle: 1}, {Batch: 0, Shuffle: 2}, {Batch: 0, Shuffle: 2, Map: 1}, {Batch: 1, Shuffle: 2}}
	for _, id := range ids {
		write(t, s, id, 1, 0)
	}
	before := s.bytes()
	s.ForgetShuffles(0, []int{2, 7})
	for i, id := range ids {
		gone := i == 1 || i == 2
		if got := blocksOf(t, s, id, 0); gone == strings.HasPrefix(got, "m") {
			t.Errorf("%+v: %s", id, got)
		}
	}
	if s.bytes() >= before {
		t.Errorf("%d bytes are in use, %d were", s.bytes(), before)
	}
}
