package keyed

import (
	"cmp"
	"math"
	"slices"
)

// A segment has 2^slotBits slots.
const (
	slotBits = 8
	slots    = 1 << slotBits
)

// Limits of a segment, beyond which it is split in two. What finds no room in its page,
// and would make the segment split too early, is spilled.
const (
	segmentFull = 4 * slots
	mostSpilled = 16
)

// segment holds the entries whose hashes begin with the same bits.
type segment[K comparable, V any] struct {
	count  int
	newest int64         // no stamp is later
	spill  []entry[K, V] // sorted like a page
	slots  [slots]slot[K, V]
}

// slot points to the page of the entries whose hashes continue with its number. A page
// may have several slots, side by side.
type slot[K comparable, V any] struct {
	keys   *keyPage[K] // nil if there are no entries
	values *valuePage[V]
	oldest int64 // stamp in the page; math.MaxInt64 if there is none
}

// entry is an entry outside of a page.
type entry[K comparable, V any] struct {
	hash  uint64
	key   K
	stamp int64
	value V
}

func newSegment[K comparable, V any]() *segment[K, V] {
	s := &segment[K, V]{newest: math.MinInt64}
	for i := range s.slots {
		s.slots[i].oldest = math.MaxInt64
	}
	return s
}

// clone returns a copy that may be written to.
func (s *segment[K, V]) clone() *segment[K, V] {
	c := *s
	c.spill = slices.Clone(s.spill)
	return &c
}

// slotOf returns the number of a hash's slot in a segment whose hashes share so many bits.
func slotOf(hash uint64, bits uint8) int { return int(hash << bits >> (64 - slotBits)) }

// span returns the slots of the page that slot i points to.
func (s *segment[K, V]) span(i int, bits uint8) []slot[K, V] {
	n := 1 << (bits + slotBits - s.slots[i].keys.depth)
	first := i &^ (n - 1)
	return s.slots[first : first+n]
}

// set makes all slots of a page what the page's slot i is to be.
func (s *segment[K, V]) set(i int, bits uint8, to slot[K, V]) {
	span := s.span(i, bits)
	for i := range span {
		span[i] = to
	}
}

// room makes a page for slot i, which has none, of all the free slots around it.
func (s *segment[K, V]) room(i int, bits uint8, owner uint64) {
	n := 1
	for n < slots && s.free(i&^(2*n-1), 2*n) {
		n *= 2
	}
	to := slot[K, V]{&keyPage[K]{owner: owner, depth: bits + slotBits}, &valuePage[V]{owner: owner}, math.MaxInt64}
	for m := n; m > 1; m /= 2 {
		to.keys.depth--
	}
	first := i &^ (n - 1)
	for i := first; i < first+n; i++ {
		s.slots[i] = to
	}
}

// free reports whether n slots have no page.
func (s *segment[K, V]) free(first, n int) bool {
	for _, slot := range s.slots[first : first+n] {
		if slot.keys != nil {
			return false
		}
	}
	return true
}

// own makes the page of slot i one that the owner may write to: its values, and with keys
// its keys.
func (s *segment[K, V]) own(i int, bits uint8, owner uint64, keys bool) slot[K, V] {
	to := s.slots[i]
	copied := false
	if to.values.owner != owner {
		values := *to.values
		values.owner = owner
		to.values, copied = &values, true
	}
	if keys && to.keys.owner != owner {
		keys := *to.keys
		keys.owner = owner
		to.keys, copied = &keys, true
	}
	if copied {
		s.set(i, bits, to)
	}
	return to
}

// splitPage splits the page of slot i, which has several slots, by the next bit of its
// hashes.
func (s *segment[K, V]) splitPage(i int, bits uint8, owner uint64) {
	low := s.own(i, bits, owner, true)
	span := s.span(i, bits)
	high := slot[K, V]{&keyPage[K]{owner: owner}, &valuePage[V]{owner: owner}, math.MaxInt64}
	low.keys.depth++
	high.keys.depth = low.keys.depth
	at, bit := 0, uint64(1)<<(64-low.keys.depth)
	for at < int(low.keys.n) && low.keys.hashes[at]&bit == 0 {
		at++
	}
	low.values.cut(at, high.values)
	low.keys.cut(at, high.keys)
	low.oldest = low.values.oldest(int(low.keys.n))
	high.oldest = high.values.oldest(int(high.keys.n))
	half := len(span) / 2
	for i := range half {
		span[i], span[half+i] = low, high
	}
}

// split returns the two halves of a segment: the entries whose hashes go on with 0 and
// those with 1.
func (s *segment[K, V]) split(bits uint8, owner uint64) (low, high *segment[K, V]) {
	if p := s.slots[0].keys; p != nil && p.depth == bits {
		s.splitPage(0, bits, owner)
	}
	halves := [2]*segment[K, V]{newSegment[K, V](), newSegment[K, V]()}
	for i, h := range halves {
		h.newest = s.newest
		for j := range h.slots {
			h.slots[j] = s.slots[i*slots/2+j/2]
			if p := h.slots[j].keys; p != nil && (j == 0 || p != h.slots[j-1].keys) {
				h.count += int(p.n)
			}
		}
	}
	at, _ := slices.BinarySearchFunc(s.spill, uint64(1)<<(63-bits), func(e entry[K, V], bit uint64) int {
		return cmp.Compare(e.hash&bit, bit)
	})
	halves[0].spill, halves[1].spill = slices.Clone(s.spill[:at]), slices.Clone(s.spill[at:])
	for _, h := range halves {
		h.count += len(h.spill)
	}
	return halves[0], halves[1]
}

// spilled returns where a key is in the spill, or would be put.
func (s *segment[K, V]) spilled(keys *Keys[K], hash uint64, k K) (at int, found bool) {
	if len(s.spill) == 0 {
		return 0, false
	}
	return slices.BinarySearchFunc(s.spill, k, func(e entry[K, V], k K) int { return e.compare(keys, hash, k) })
}

// compare orders an entry and a key as pages do.
func (e *entry[K, V]) compare(keys *Keys[K], hash uint64, k K) int {
	switch {
	case e.hash != hash:
		return cmp.Compare(e.hash, hash)
	case e.key == k:
		return 0
	}
	return keys.Compare(e.key, k)
}

// oldest returns the least stamp of the segment.
func (s *segment[K, V]) oldest() int64 {
	least := int64(math.MaxInt64)
	for i := range s.slots {
		least = min(least, s.slots[i].oldest)
	}
	for i := range s.spill {
		least = min(least, s.spill[i].stamp)
	}
	return least
}

// each yields the entries stamped from one time to another, both included, in order. It
// reports whether yield wanted all of them.
func (s *segment[K, V]) each(keys *Keys[K], from, to int64, yield func(k K, v V, stamp int64) bool) bool {
	spill := s.spill
	var last *keyPage[K]
	for i := range s.slots {
		slot := &s.slots[i]
		if slot.oldest > to || slot.keys == last || slot.keys == nil {
			continue
		}
		last = slot.keys
		for i := range last.n {
			stamp := slot.values.stamps[i]
			if stamp < from || stamp > to {
				continue
			}
			for len(spill) > 0 && spill[0].compare(keys, last.hashes[i], last.keys[i]) < 0 {
				if e := &spill[0]; e.stamp >= from && e.stamp <= to && !yield(e.key, e.value, e.stamp) {
					return false
				}
				spill = spill[1:]
			}
			if !yield(last.keys[i], slot.values.values[i], stamp) {
				return false
			}
		}
	}
	for i := range spill {
		if e := &spill[i]; e.stamp >= from && e.stamp <= to && !yield(e.key, e.value, e.stamp) {
			return false
		}
	}
	return true
}
