package ranges

import "testing"

// A range is expected until it is read, by whom the one before it was read, and
// what never comes makes room.
func TestExpectedRanges(t *testing.T) {
	h := newHistory()
	rg := func(i int64) Range { return Range{Topic: "t", Partition: 3, From: 10 * i, Until: 10*i + 10} }
	for i := range int64(10) {
		for range 2 { // asking twice expects it once
			if h.follows(rg(i+1), false) {
				t.Fatalf("%v follows what was not read", rg(i+1))
			}
		}
	}
	if n := len(h.expected[partitionKey{"t", 3}]); n != maxExpected {
		t.Errorf("%d ranges are expected, want the newest %d", n, maxExpected)
	}
	if next, ok := h.ended(rg(5)); ok {
		t.Errorf("%v is still expected, it had to make room", next)
	}
	other := rg(6)
	other.TopicID[0] = 1
	if next, ok := h.ended(other); ok {
		t.Errorf("%v follows a range of another topic of that name", next)
	}
	if next, ok := h.ended(rg(7)); !ok || next != rg(8) {
		t.Errorf("%v follows, %v, want %v", next, ok, rg(8))
	}
	if next, ok := h.ended(rg(7)); ok {
		t.Errorf("%v is expected twice", next)
	}
	h.forget(rg(9))
	if next, ok := h.ended(rg(8)); ok {
		t.Errorf("%v is read already", next)
	}
	if !h.follows(rg(9), false) {
		t.Error("a range follows the one that was read last")
	}
}
