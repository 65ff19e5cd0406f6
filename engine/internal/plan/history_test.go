package plan

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// at returns the allocation of a batch with a time in seconds.
func at(seq uint64, seconds float64) *Allocation {
	return &Allocation{Format: AllocationFormat, Seq: seq, TimeNanos: int64(seconds * 1e9)}
}

func TestHistory(t *testing.T) {
	var h History
	for _, a := range []*Allocation{at(3, 3), at(4, 4), at(5, 5.5), at(5, 99), at(4, 99), at(6, 9)} {
		h.Add(a)
	}
	for i, c := range []struct {
		of     *Allocation
		length time.Duration
		since  uint64
	}{
		{at(6, 9), 0, 6},
		{at(6, 9), 3 * time.Second, 6},
		{at(6, 9), 3500 * time.Millisecond, 6}, // 5.5 s isn't within (5.5 s, 9 s]
		{at(6, 9), 4 * time.Second, 5},
		{at(6, 9), 5 * time.Second, 5},
		{at(6, 9), 5*time.Second + 1, 4},
		{at(6, 9), time.Hour, 3},
		{at(5, 5.5), 2 * time.Second, 4}, // of a batch that isn't the newest
		{at(7, 9.5), time.Second, 6},     // of one that isn't there yet
		{at(3, 3), time.Hour, 3},
	} {
		if got := h.Since(c.of, c.length); got != c.since {
			t.Errorf("%d: %s up to batch %d begin with batch %d, want %d", i, c.length, c.of.Seq, got, c.since)
		}
	}
	for seq, want := range map[uint64]float64{2: 0, 3: 3, 5: 5.5, 6: 9, 7: 0} {
		if a := h.At(seq); (a != nil) != (want != 0) || a != nil && a.TimeNanos != int64(want*1e9) {
			t.Errorf("batch %d is %+v", seq, a)
		}
	}
	if a, err := h.Before(at(1, 1)); a != nil || err != nil {
		t.Errorf("before the first batch there is %+v, %v", a, err)
	}
	if _, err := h.Before(at(3, 3)); !errors.Is(err, ErrHistory) {
		t.Error(err)
	}
	h.Forget(5)
	if h.At(4) != nil || h.At(5) == nil {
		t.Error("what is before batch 5 isn't all that is forgotten")
	}
	h.Forget(2) // is done already
	if h.Add(at(9, 12)); h.At(6) != nil || h.At(9) == nil {
		t.Error("after a gap the history goes on")
	}
	h.Forget(100)
	if h.At(9) != nil {
		t.Error("the newest batch isn't forgotten")
	}
	h.Add(at(4, 4))
	if h.Reset(); h.At(4) != nil {
		t.Error("there is something after Reset")
	}
	if h.Add(at(2, 2)); h.At(2) == nil {
		t.Error("an empty history doesn't begin anywhere")
	}
}

// Windows over batches of any times hold what a search through all of them finds.
func TestWithin(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var all []*Allocation
	var h History
	now := 0.0
	for seq := uint64(1); seq <= 200; seq++ {
		now += float64(1+rnd.IntN(30)) / 10
		all = append(all, at(seq, now))
		h.Add(all[seq-1])
		for range 5 {
			a, length := all[rnd.IntN(len(all))], time.Duration(1+rnd.IntN(200))*100*time.Millisecond
			var want, got []uint64
			for _, p := range all {
				if p.TimeNanos > a.TimeNanos-int64(length) && p.TimeNanos <= a.TimeNanos {
					want = append(want, p.Seq)
				}
			}
			g := newGeneration(a, &h, 1)
			for _, p := range g.Within(length) {
				got = append(got, p.Alloc.Seq)
			}
			if err := g.Lineage.Err(); err != nil || !slices.Equal(got, want) || h.Since(a, length) != want[0] {
				t.Fatalf("%s up to batch %d: %v since %d, want %v; %v", length, a.Seq, got, h.Since(a, length), want, err)
			}
		}
	}
}

// What isn't known is one error, however often it is reached back to.
func TestMissingPast(t *testing.T) {
	var h History
	h.Add(at(5, 5))
	h.Add(at(6, 6))
	g := newGeneration(at(6, 6), &h, 1)
	if got := g.Within(2 * time.Second); len(got) != 2 || g.Lineage.Err() == nil {
		t.Errorf("%d batches, %v: whether batch 4 is in the window can't be known", len(got), g.Lineage.Err())
	}
	g.Within(10 * time.Second)
	if errs := g.Lineage.Errs(); len(errs) != 1 || !errors.Is(errs[0], ErrHistory) {
		t.Errorf("%v", errs)
	}
}

func TestReach(t *testing.T) {
	const s = time.Second
	window := func(n *Stream, back, slide time.Duration) *Stream {
		n.Back, n.Slide = back, slide
		return n
	}
	type remembered = map[int32]time.Duration
	for name, c := range map[string]struct {
		build   func(g *Graph)
		longest time.Duration
		of      remembered
		slides  []time.Duration
	}{
		"nothing": {func(g *Graph) { g.AddStream(Declaration{}) }, 0, remembered{1: 0}, nil},
		"a window": {func(g *Graph) {
			in := g.AddStream(Declaration{})
			mapped := g.AddStream(Declaration{}, Parent{ID: in.ID})
			window(g.AddStream(Declaration{}, Parent{ID: mapped.ID}), 3*s, s)
		}, 3 * s, remembered{1: 3 * s, 2: 3 * s, 3: 0}, []time.Duration{s}},
		"windows of windows": {func(g *Graph) {
			in := g.AddStream(Declaration{})
			first := window(g.AddStream(Declaration{}, Parent{ID: in.ID}), 3*s, s)
			mapped := g.AddStream(Declaration{}, Parent{ID: first.ID})
			window(g.AddStream(Declaration{}, Parent{ID: mapped.ID}), 10*s, 5*s)
		}, 13 * s, remembered{1: 13 * s, 2: 10 * s, 3: 10 * s, 4: 0}, []time.Duration{s, 5 * s}},
		"two windows of one stream": {func(g *Graph) {
			in := g.AddStream(Declaration{})
			window(g.AddStream(Declaration{}, Parent{ID: in.ID}), 3*s, s)
			window(g.AddStream(Declaration{}, Parent{ID: in.ID}), 7*s, s)
		}, 7 * s, remembered{1: 7 * s}, []time.Duration{s}},
		"only one of two inputs": {func(g *Graph) {
			a, b := g.AddStream(Declaration{}), g.AddStream(Declaration{})
			g.AddStream(Declaration{}, Parent{ID: window(g.AddStream(Declaration{}, Parent{ID: a.ID}), 2*s, s).ID}, Parent{ID: b.ID})
		}, 2 * s, remembered{1: 2 * s, 2: 0, 3: 0}, []time.Duration{s}},
		"remembered": {func(g *Graph) {
			g.Remembered = 5 * s
			in := g.AddStream(Declaration{})
			window(g.AddStream(Declaration{}, Parent{ID: in.ID}), 3*s, s)
		}, 8 * s, remembered{1: 8 * s, 2: 5 * s}, []time.Duration{s}},
	} {
		var g Graph
		c.build(&g)
		r := g.Reach()
		if r.Longest() != c.longest || !slices.Equal(g.Slides(), c.slides) {
			t.Errorf("%s: reaches back %s, slides %v", name, r.Longest(), g.Slides())
		}
		for id, want := range c.of {
			if got := r.Of(id); got != want {
				t.Errorf("%s: stream %d is remembered for %s, want %s", name, id, got, want)
			}
		}
	}
}

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

// What others reach back to of an input lies in the oldest batch known that has it, be it later
// than the one that is asked for.
func TestHistoryFrom(t *testing.T) {
	var h History
	if share := h.From(0, 1); share != nil {
		t.Errorf("of no batch: %+v", share)
	}
	for seq := uint64(5); seq <= 8; seq++ {
		a := at(seq, float64(seq))
		a.Inputs = []InputAllocation{{DStream: 1, Records: int64(seq)}}
		if seq >= 7 {
			a.Inputs = append(a.Inputs, InputAllocation{DStream: 2, Records: int64(seq)})
		}
		h.Add(a)
	}
	for _, c := range []struct {
		seq     uint64
		input   int32
		records int64
	}{{0, 1, 5}, {4, 1, 5}, {5, 1, 5}, {6, 1, 6}, {4, 2, 7}, {8, 2, 8}, {9, 1, 0}, {4, 3, 0}} {
		if share := h.From(c.seq, c.input); (share != nil) != (c.records > 0) || share != nil && share.Records != c.records {
			t.Errorf("input %d from batch %d on: %+v, want that of batch %d", c.input, c.seq, share, c.records)
		}
	}
}
