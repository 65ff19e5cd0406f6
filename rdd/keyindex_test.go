package rdd

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Every key is found among those of equal hashes, and of hashes that want the same entry,
// however much the index has grown since.
func TestKeyIndex(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, hash := range map[string]func() uint32{
		"spread":           r.Uint32,
		"equal":            func() uint32 { return 7 },
		"zero":             func() uint32 { return 0 },
		"few":              func() uint32 { return r.Uint32N(5) },
		"around the end":   func() uint32 { return ^r.Uint32N(3) + r.Uint32N(3) },
		"alike in the low": func() uint32 { return r.Uint32() << 12 },
	} {
		index, places := newKeyIndex(), make(map[uint32][]int)
		const n = 1000
		for place := range n {
			h := hash()
			index.add(h, place)
			places[h] = append(places[h], place)
		}
		for h := range places {
			var got []int
			for at, place := index.next(h, h); place >= 0; at, place = index.next(at+1, h) {
				got = append(got, place)
			}
			if slices.Sort(got); !slices.Equal(got, places[h]) {
				t.Errorf("%s: of hash %d there are %d places, not %d", name, h, len(got), len(places[h]))
			}
		}
		if free := len(index) - n; free < n/2 || free > 4*n {
			t.Errorf("%s: %d entries are free of %d", name, free, len(index))
		}
	}
}
