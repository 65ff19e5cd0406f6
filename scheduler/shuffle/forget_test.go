package shuffle_test

import (
	"errors"
	"testing"

	"github.com/hibana-engine/hibana/scheduler/shuffle"
)

// Shuffles that are forgotten go with their bytes, and no others.
func TestForgetShuffles(t *testing.T) {
	s := shuffle.NewStore(1000)
	ids := []shuffle.MapID{{Batch: 0, Shuffle: 1}, {Batch: 0, Shuffle: 2}, {Batch: 0, Shuffle: 2, Map: 1}, {Batch: 1, Shuffle: 2}}
	for _, id := range ids {
		w := s.Writer(id, 1)
		if err := w.WriteBlock(0, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	s.ForgetShuffles(0, []int{2, 7})
	for i, id := range ids {
		_, err := s.Blocks(id, 0)
		if gone := i == 1 || i == 2; gone != errors.Is(err, shuffle.ErrNoOutput) {
			t.Errorf("%+v: %v", id, err)
		}
	}
	if s.Len() != 2 || s.Bytes() != 20 {
		t.Errorf("%d outputs of %d bytes are left", s.Len(), s.Bytes())
	}
}
