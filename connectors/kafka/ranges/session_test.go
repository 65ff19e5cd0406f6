package ranges

import (
	"math"
	"testing"
)

// A poll of a session names what isn't polled as before, one that begins a session names all. What
// leaves a session, and a topic that is another one, begins it anew.
func TestSessionNamesWhatChanges(t *testing.T) {
	var s session
	parts := func(ends ...int64) (ps []watched) {
		for i, end := range ends {
			ps = append(ps, watched{topic: "t", id: [16]byte{1}, partition: int32(i), epoch: 2, grown: end})
		}
		return ps
	}
	want := func(what string, ps []watched, epoch int32, named ...int32) {
		t.Helper()
		got := s.ask(ps)
		same := len(got) == len(named) && s.epoch == epoch
		for i := range named {
			same = same && got[i].partition == named[i]
		}
		if !same {
			t.Errorf("%s: epoch %d, %+v named, want epoch %d, %v", what, s.epoch, got, epoch, named)
		}
	}
	want("the first", parts(5, 6), 0, 0, 1)
	s.answered(0)
	want("a broker without sessions", parts(5, 7), 0, 0, 1)
	s.answered(9)
	want("nothing has come", parts(5, 7), 1)
	s.answered(9)
	want("one has grown", parts(5, 8), 2, 1)
	s.answered(9)
	want("one is new", parts(5, 8, 0), 3, 2)
	s.answered(9)
	led := parts(5, 8, 0)
	led[0].epoch = 3
	want("one has another leader", led, 4, 0)
	s.answered(9)
	want("one has left", led[:2], 0, 0, 1)
	if s.id != 9 {
		t.Errorf("the session that ends is %d, want 9", s.id)
	}
	s.answered(10)
	led[1].id = [16]byte{2}
	want("one is of another topic", led[:2], 0, 0, 1)
	s.answered(11)
	s.reset()
	want("after an error", led[:2], 0, 0, 1)
	s.answered(12)
	s.epoch = math.MaxInt32
	want("the last epoch", led[:2], math.MaxInt32)
	s.answered(12)
	want("the one after it", led[:2], 1)
}
