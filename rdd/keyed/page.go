package keyed

import "math"

// pageSize is how many entries a page holds.
const pageSize = 8

// keyPage holds the keys of a page, sorted by their hashes and, where these are equal, as
// Keys.Compare says. It belongs to the edit that made it, which alone may write to it.
type keyPage[K comparable] struct {
	owner  uint64
	n      uint8
	depth  uint8 // leading bits of the hash that all keys of the page share
	hashes [pageSize]uint64
	keys   [pageSize]K
}

// valuePage holds the values of a keyPage's keys, and when they were put.
type valuePage[V any] struct {
	owner  uint64
	stamps [pageSize]int64
	values [pageSize]V
}

// find returns where a key is, or where it would be put.
func (p *keyPage[K]) find(keys *Keys[K], hash uint64, k K) (at int, found bool) {
	n := min(int(p.n), pageSize)
	for at < n && p.hashes[at] < hash {
		at++
	}
	for at < n && p.hashes[at] == hash {
		if p.keys[at] == k {
			return at, true
		}
		if c := keys.Compare(p.keys[at], k); c >= 0 {
			return at, c == 0
		}
		at++
	}
	return at, false
}

// insert makes room at a place and puts a key there.
func (p *keyPage[K]) insert(at int, hash uint64, k K) {
	copy(p.hashes[at+1:p.n+1], p.hashes[at:p.n])
	copy(p.keys[at+1:p.n+1], p.keys[at:p.n])
	p.hashes[at], p.keys[at] = hash, k
	p.n++
}

// remove takes a key out.
func (p *keyPage[K]) remove(at int) {
	copy(p.hashes[at:p.n], p.hashes[at+1:p.n])
	copy(p.keys[at:p.n], p.keys[at+1:p.n])
	p.n--
	p.hashes[p.n] = 0
	clear(p.keys[p.n : p.n+1])
}

// cut moves the keys from a place on to another page.
func (p *keyPage[K]) cut(at int, to *keyPage[K]) {
	to.n = uint8(copy(to.hashes[:], p.hashes[at:p.n]))
	copy(to.keys[:], p.keys[at:p.n])
	clear(p.hashes[at:])
	clear(p.keys[at:])
	p.n = uint8(at)
}

// insert makes room at a place in a page of n entries. The value there is the zero value.
func (p *valuePage[V]) insert(at, n int, stamp int64) {
	copy(p.stamps[at+1:n+1], p.stamps[at:n])
	copy(p.values[at+1:n+1], p.values[at:n])
	p.stamps[at] = stamp
	clear(p.values[at : at+1])
}

// remove takes an entry out of a page of n.
func (p *valuePage[V]) remove(at, n int) {
	copy(p.stamps[at:n], p.stamps[at+1:n])
	copy(p.values[at:n], p.values[at+1:n])
	clear(p.values[n-1 : n])
}

// cut moves the entries from a place on to another page.
func (p *valuePage[V]) cut(at int, to *valuePage[V]) {
	copy(to.stamps[:], p.stamps[at:])
	copy(to.values[:], p.values[at:])
	clear(p.values[at:])
}

// oldest returns the least of the first n stamps.
func (p *valuePage[V]) oldest(n int) int64 {
	least := int64(math.MaxInt64)
	for _, s := range p.stamps[:n] {
		least = min(least, s)
	}
	return least
}
