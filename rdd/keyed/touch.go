package keyed

import "unsafe"

// MostTouched is how many keys [Edit.Touch] is for: more of them wouldn't be read at once.
const MostTouched = 32

// Touch reads, side by side, what the entries of at most [MostTouched] keys are kept in, so
// that it is in the processor's cache when they are read and put soon after. One after the
// other each of them waits several times for memory. It changes nothing, and is worth it
// where keys come in any order.
func (e *Edit[K, V]) Touch(keys []K) {
	e.touched += e.entries.touch(e.keys, keys[:min(len(keys), MostTouched)])
}

// touch reads the slots of keys, then their pages: each loop's reads don't depend on each
// other. The sum is for the compiler, which leaves out what nobody uses.
func (t *tree[K, V]) touch(keys *Keys[K], all []K) (sum uint64) {
	var found [MostTouched]*slot[K, V]
	for i, k := range all {
		hash := keys.hash(k)
		b := &t.dir[hash>>(64-t.bits)]
		found[i] = &b.segment.slots[slotOf(hash, b.bits)]
	}
	for _, slot := range found[:len(all)] {
		if slot.keys != nil {
			sum += ends(slot.keys) + ends(slot.values)
		}
	}
	return sum
}

// ends reads the beginning and the end of a value, and the middle, which may be in three
// lines of the cache.
func ends[T any](v *T) uint64 {
	size := unsafe.Sizeof(*v)
	at := func(i uintptr) uint64 { return uint64(*(*byte)(unsafe.Add(unsafe.Pointer(v), i))) }
	return at(0) + at(size/2) + at(size-1)
}
