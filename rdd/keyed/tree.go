package keyed

import (
	"math"
	"slices"
	"unsafe"
)

// tree is one version of the entries of a table.
type tree[K comparable, V any] struct {
	bits     uint8          // of a hash that find its branch
	dir      []branch[K, V] // 2^bits
	segments int
	pages    int
	count    int
	oldest   int64 // stamp
	copied   int64 // bytes of the version before that were copied to make this one
}

// branch points to the segment of the entries whose hashes begin with its number. A
// segment may have several branches, side by side.
type branch[K comparable, V any] struct {
	segment *segment[K, V]
	bits    uint8 // that all hashes of the segment share
	owner   uint64
	oldest  int64 // stamp in the segment, as of the last commit
}

func newTree[K comparable, V any]() tree[K, V] {
	s := newSegment[K, V]()
	return tree[K, V]{dir: []branch[K, V]{{segment: s, oldest: math.MaxInt64}}, segments: 1, oldest: math.MaxInt64}
}

func (t *tree[K, V]) get(keys *Keys[K], hash uint64, k K) (v V, stamp int64, ok bool) {
	b := &t.dir[hash>>(64-t.bits)]
	slot := &b.segment.slots[slotOf(hash, b.bits)]
	if slot.keys != nil {
		if at, found := slot.keys.find(keys, hash, k); found {
			return slot.values.values[at], slot.values.stamps[at], true
		}
	}
	if at, found := b.segment.spilled(keys, hash, k); found {
		e := &b.segment.spill[at]
		return e.value, e.stamp, true
	}
	return v, 0, false
}

// each yields the entries stamped from one time to another, both included, in the order of
// their hashes.
func (t *tree[K, V]) each(keys *Keys[K], from, to int64, yield func(k K, v V, stamp int64) bool) {
	if t.oldest > to {
		return
	}
	for i := 0; i < len(t.dir); {
		b := &t.dir[i]
		if b.oldest <= to && b.segment.newest >= from && !b.segment.each(keys, from, to, yield) {
			return
		}
		i += 1 << (t.bits - b.bits)
	}
}

// bytes returns what the tree takes, without what keys and values refer to.
func (t *tree[K, V]) bytes() int64 {
	page := unsafe.Sizeof(keyPage[K]{}) + unsafe.Sizeof(valuePage[V]{})
	return int64(t.pages)*int64(page) +
		int64(t.segments)*int64(unsafe.Sizeof(segment[K, V]{})) +
		int64(len(t.dir))*int64(unsafe.Sizeof(branch[K, V]{}))
}

// editor makes the next version of a tree.
type editor[K comparable, V any] struct {
	tree[K, V]
	keys  *Keys[K]
	owner uint64 // who may write to what the editor made
	owns  bool   // the directory is the editor's own
}

// branch returns the branch of a hash, whose segment may be written to.
func (e *editor[K, V]) branch(hash uint64) *branch[K, V] {
	if !e.owns {
		e.dir, e.owns = slices.Clone(e.dir), true
		e.copied += int64(len(e.dir)) * int64(unsafe.Sizeof(branch[K, V]{}))
	}
	i := int(hash >> (64 - e.bits))
	b := &e.dir[i]
	if b.owner != e.owner {
		own := *b
		own.owner, own.segment = e.owner, b.segment.clone()
		e.copied += int64(unsafe.Sizeof(segment[K, V]{}))
		e.set(i, own)
	}
	return b
}

// own makes a page of a segment one that the editor may write to, see segment.own.
func (e *editor[K, V]) own(s *segment[K, V], i int, bits uint8, keys bool) slot[K, V] {
	before := s.slots[i]
	to := s.own(i, bits, e.owner, keys)
	if to.values != before.values {
		e.copied += int64(unsafe.Sizeof(*to.values))
	}
	if to.keys != before.keys {
		e.copied += int64(unsafe.Sizeof(*to.keys))
	}
	return to
}

// set makes all branches of a segment what one of them is to be.
func (e *editor[K, V]) set(i int, to branch[K, V]) {
	n := 1 << (e.bits - to.bits)
	first := i &^ (n - 1)
	for i := first; i < first+n; i++ {
		e.dir[i] = to
	}
}

// put stamps the entry of a key and returns its value, to be set. A new entry has the zero
// value. The pointer is valid until the next change.
func (e *editor[K, V]) put(hash uint64, k K, stamp int64) (v *V, found bool) {
	for {
		b := e.branch(hash)
		s, i := b.segment, slotOf(hash, b.bits)
		s.newest = max(s.newest, stamp)
		if s.slots[i].keys == nil {
			if at, found := s.spilled(e.keys, hash, k); found {
				s.spill[at].stamp = stamp
				return &s.spill[at].value, true
			}
			s.room(i, b.bits, e.owner)
			e.pages++
		}
		at, found := s.slots[i].keys.find(e.keys, hash, k)
		if found {
			return e.replace(b, i, at, stamp), true
		}
		spilled, found := s.spilled(e.keys, hash, k)
		if found {
			s.spill[spilled].stamp = stamp
			return &s.spill[spilled].value, true
		}
		if s.slots[i].keys.n < pageSize {
			return e.insert(b, i, at, hash, k, stamp), false
		}
		if !e.split(b, hash) {
			s.spill = slices.Insert(s.spill, spilled, entry[K, V]{hash: hash, key: k, stamp: stamp})
			s.count++
			e.count++
			return &s.spill[spilled].value, false
		}
	}
}

// replace stamps an entry that is there.
func (e *editor[K, V]) replace(b *branch[K, V], i, at int, stamp int64) *V {
	page := e.own(b.segment, i, b.bits, false)
	was := page.values.stamps[at]
	page.values.stamps[at] = stamp
	if stamp < page.oldest || was == page.oldest && was != stamp {
		page.oldest = page.values.oldest(int(page.keys.n))
		b.segment.set(i, b.bits, page)
	}
	return &page.values.values[at]
}

// insert puts a key into a page that has room.
func (e *editor[K, V]) insert(b *branch[K, V], i, at int, hash uint64, k K, stamp int64) *V {
	page := e.own(b.segment, i, b.bits, true)
	page.values.insert(at, int(page.keys.n), stamp)
	page.keys.insert(at, hash, k)
	if stamp < page.oldest {
		page.oldest = stamp
		b.segment.set(i, b.bits, page)
	}
	b.segment.count++
	e.count++
	return &page.values.values[at]
}

// split makes room in the full page of a hash. It reports false if the hash is to be
// spilled instead.
func (e *editor[K, V]) split(b *branch[K, V], hash uint64) bool {
	s, i := b.segment, slotOf(hash, b.bits)
	page := s.slots[i].keys
	switch {
	case page.hashes[0] == hash && page.hashes[pageSize-1] == hash:
		return false
	case page.depth < b.bits+slotBits:
		s.splitPage(i, b.bits, e.owner)
		e.pages++
		return true
	case s.count < segmentFull && len(s.spill) < mostSpilled:
		return false
	}
	return e.splitSegment(hash)
}

// splitSegment splits the segment of a hash in two. It reports false if the directory
// would become too large for what there is, because the hashes are bad.
func (e *editor[K, V]) splitSegment(hash uint64) bool {
	i := int(hash >> (64 - e.bits))
	b := e.dir[i]
	if b.bits == e.bits {
		if b.bits+slotBits == 64 || 2*len(e.dir) > 16*(e.segments+1) {
			return false
		}
		dir := make([]branch[K, V], 2*len(e.dir))
		for i, b := range e.dir {
			dir[2*i], dir[2*i+1] = b, b
		}
		e.dir = dir
		e.bits++
		i *= 2
	}
	if p := b.segment.slots[0].keys; p != nil && p.depth == b.bits {
		e.pages++
	}
	n := 1 << (e.bits - b.bits)
	first := i &^ (n - 1)
	low, high := b.segment.split(b.bits, e.owner)
	b.bits++
	b.segment = low
	e.set(first, b)
	b.segment = high
	e.set(first+n/2, b)
	e.segments++
	e.unspill(low)
	e.unspill(high)
	return true
}

// unspill puts what a new segment has spilled into pages, if they have room.
func (e *editor[K, V]) unspill(s *segment[K, V]) {
	spill := s.spill
	s.spill = nil
	s.count -= len(spill)
	e.count -= len(spill)
	for i := range spill {
		v, _ := e.put(spill[i].hash, spill[i].key, spill[i].stamp)
		*v = spill[i].value
	}
}

// remove takes a key out. It reports whether it was there.
func (e *editor[K, V]) remove(hash uint64, k K) (v V, ok bool) {
	v, _, ok = e.get(e.keys, hash, k)
	if !ok {
		return v, false
	}
	b := e.branch(hash)
	s, i := b.segment, slotOf(hash, b.bits)
	s.count--
	e.count--
	if at, found := s.spilled(e.keys, hash, k); found {
		s.spill = slices.Delete(s.spill, at, at+1)
		return v, true
	}
	at, _ := s.slots[i].keys.find(e.keys, hash, k)
	page := e.own(s, i, b.bits, true)
	page.values.remove(at, int(page.keys.n))
	page.keys.remove(at)
	if page.oldest = page.values.oldest(int(page.keys.n)); page.keys.n > 0 {
		s.set(i, b.bits, page)
		return v, true
	}
	s.set(i, b.bits, slot[K, V]{oldest: math.MaxInt64})
	e.pages--
	return v, true
}

// segmentSparse is how few entries a segment has, on average, if the tree has shrunk so
// much that it is made anew.
const segmentSparse = segmentFull / 8

// commit returns the version that was made. The editor goes on as one of that.
func (e *editor[K, V]) commit(owner uint64) tree[K, V] {
	if e.segments > 1 && e.count < e.segments*segmentSparse {
		e.repack()
	}
	if e.owns {
		e.oldest = math.MaxInt64
		for i := range e.dir {
			b := &e.dir[i]
			switch {
			case i > 0 && b.segment == e.dir[i-1].segment:
				b.oldest = e.dir[i-1].oldest
			case b.owner == e.owner:
				b.oldest = b.segment.oldest()
			}
			e.oldest = min(e.oldest, b.oldest)
		}
	}
	e.owner, e.owns = owner, false
	made := e.tree
	e.copied = 0
	return made
}

// repack puts all entries into a new tree.
func (e *editor[K, V]) repack() {
	to := editor[K, V]{tree: newTree[K, V](), keys: e.keys, owner: e.owner}
	e.all(func(k K, v V, stamp int64) bool {
		p, _ := to.put(e.keys.hash(k), k, stamp)
		*p = v
		return true
	})
	to.copied = e.bytes() // all of it
	*e = to
}

// all yields the entries as they are now: the bounds of stamps aren't used, which are
// those of the last commit.
func (e *editor[K, V]) all(yield func(k K, v V, stamp int64) bool) {
	for i := 0; i < len(e.dir); i += 1 << (e.bits - e.dir[i].bits) {
		if !e.dir[i].segment.each(e.keys, math.MinInt64, math.MaxInt64, yield) {
			return
		}
	}
}
