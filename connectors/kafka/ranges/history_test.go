package ranges

import "testing"

// Topics come and go: what was read of those that are gone isn't remembered for ever.
func TestHistoryIsBounded(t *testing.T) {
	h, places := newHistory(), routes{known: make(map[partitionKey]route)}
	for i := range int32(maxPartitions + 1000) {
		rg := Range{Topic: "t", Partition: i, Until: 10}
		key := partitionKey{"t", i}
		places.set(key, route{})
		h.learn(key, scanned{next: 10, bytes: 100, largest: 100}, 0, 0)
		h.follows(rg, false)
		h.follows(Range{Topic: "t", Partition: i, From: 10, Until: 20}, false)
		h.forget(rg)
		if next, ok := h.ended(rg); !ok || next.From != 10 {
			t.Fatalf("%v follows %v, %v", next, rg, ok)
		}
		if !h.passed(key, 5) || h.estimate(newStream(rg), 1000) == 1000 {
			t.Fatalf("nothing is remembered of %v, which was read last", rg)
		}
	}
	if len(h.sizes) != maxPartitions || len(h.read) != maxPartitions || len(h.expected) != 0 || len(places.known) != maxPartitions {
		t.Errorf("remembers the sizes of %d partitions, where %d were read to, what %d expect, and where %d are", len(h.sizes), len(h.read), len(h.expected), len(places.known))
	}
	for i := range int32(maxPartitions + 1000) { // that never come
		h.follows(Range{Topic: "u", Partition: i, From: 10, Until: 20}, false)
	}
	if len(h.expected) != maxPartitions {
		t.Errorf("%d partitions expect ranges", len(h.expected))
	}
}

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
