package plan

import "testing"

// What is made of an allocation is made once, as long as the allocation is known.
func TestHistoryMade(t *testing.T) {
	var h History
	calls := 0
	ask := func(a *Allocation, stream int32) {
		h.Made(a, stream, func() any { calls++; return calls })
	}
	first, second := &Allocation{Seq: 1}, &Allocation{Seq: 2}
	h.Add(first)
	h.Add(second)
	for range 3 {
		ask(first, 1)
		ask(first, 2)
		ask(second, 1)
	}
	if calls != 3 {
		t.Errorf("made %d times of 2 batches, of one for two streams", calls)
	}
	h.Forget(2)
	if ask(second, 1); calls != 3 || len(h.made) != 1 {
		t.Errorf("made %d times; %d are kept", calls, len(h.made))
	}
	if ask(first, 1); calls != 4 || len(h.made) != 1 {
		t.Errorf("of a batch that was forgotten: made %d times; %d are kept", calls, len(h.made))
	}
	if ask(&Allocation{Seq: 2}, 1); calls != 5 || len(h.made) != 1 {
		t.Errorf("of another allocation of the number: made %d times; %d are kept", calls, len(h.made))
	}
}
