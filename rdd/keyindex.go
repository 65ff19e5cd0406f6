package rdd

// keyIndex finds keys that are in a list by their hashes: an open-addressing table, which
// knows of a key its hash and its place. It takes fewer bytes than a map of Go's, so that
// more of it is in the processor's cache, and each key is found with one access to it and
// one to the list. The zero value isn't ready to use.
type keyIndex []indexEntry // a power of two, of which one is free at least

// indexEntry is a key's hash and its place in the list plus one, 0 if the entry is free.
type indexEntry struct{ hash, place uint32 }

// leastIndex is the size of an index that has nothing.
const leastIndex = 16

func newKeyIndex() keyIndex { return make(keyIndex, leastIndex) }

// next returns the first entry, from a number on, that is free or has a hash. An index is
// searched from the hash on.
func (x keyIndex) next(from, hash uint32) (at uint32, place int) {
	mask := uint32(len(x) - 1)
	for at = from & mask; ; at = (at + 1) & mask {
		if e := x[at]; e.hash == hash || e.place == 0 {
			return at, int(e.place) - 1
		}
	}
}

// add adds a key that isn't there, at a place that is the number of those that are.
func (x *keyIndex) add(hash uint32, place int) {
	if place >= len(*x)/8*5 {
		x.grow()
	}
	x.put(hash, place)
}

func (x keyIndex) put(hash uint32, place int) {
	mask := uint32(len(x) - 1)
	at := hash & mask
	for x[at].place != 0 {
		at = (at + 1) & mask
	}
	x[at] = indexEntry{hash, uint32(place) + 1}
}

// grow doubles the index.
func (x *keyIndex) grow() {
	larger := make(keyIndex, 2*len(*x))
	for _, e := range *x {
		if e.place != 0 {
			larger.put(e.hash, int(e.place)-1)
		}
	}
	*x = larger
}
