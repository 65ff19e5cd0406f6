package shuffle

import (
	"bytes"
	"testing"
)

// Outputs of which every partition that has blocks was read to its end, here or by another
// process, go to disk when others come, the budget being far from full, and can be read
// again.
func TestOutputsThatWereReadGoToDisk(t *testing.T) {
	s, _ := spillable(t, 80_000) // of which 10,000 may be spent
	id := func(m int32) MapID { return MapID{Map: m} }
	output := func(m int32) {
		t.Helper()
		w := s.Writer(t.Context(), id(m), 70) // partitions without blocks aren't read
		for _, r := range []int{0, 69} {
			for range 2 {
				if err := w.WriteBlock(r, content(id(m), r, 1000)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := w.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	for m := range int32(4) {
		output(m)
		for range 2 { // one partition twice
			blocksOf(t, s, id(m), 0)
		}
	}
	for range s.Blocks(id(3), 69) {
		break // not to its end
	}
	if output(4); where(s, 0, 0, 1, 2, 3) != "memory memory memory memory" {
		t.Errorf("before all was read: %s", where(s, 0, 0, 1, 2, 3))
	}
	for _, m := range []int32{2, 1, 0} {
		sent(t, s, id(m), 69)
	}
	if output(5); where(s, 0, 0, 1, 2, 3) != "memory memory disk memory" {
		t.Errorf("after all was read: %s", where(s, 0, 0, 1, 2, 3))
	}
	for m := range int32(6) {
		for _, r := range []int{0, 69} {
			want := bytes.Repeat(content(id(m), r, 1000), 2)
			if got := sent(t, s, id(m), r); !bytes.Equal(got, want) {
				t.Errorf("map task %d, partition %d: %d bytes, or others", m, r, len(got))
			}
		}
	}
}
