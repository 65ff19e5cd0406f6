package keyed

import (
	"sync/atomic"
)

// Edit makes the next version of a table. It is for one goroutine. An edit that isn't
// wanted is dropped: nobody sees it before Commit.
type Edit[K comparable, V any] struct {
	keys    *Keys[K]
	size    func(K, V) int64
	owners  *atomic.Uint64
	entries editor[K, V]
	removed editor[K, struct{}]
	refers  int64
	touched uint64 // means nothing

	forgotten int64
}

// Len returns the number of entries.
func (e *Edit[K, V]) Len() int { return e.entries.count }

// Get returns the value of a key as the edit left it, and its stamp.
func (e *Edit[K, V]) Get(k K) (v V, stamp int64, ok bool) {
	return e.entries.get(e.keys, e.keys.hash(k), k)
}

// Put sets the value of a key.
func (e *Edit[K, V]) Put(k K, v V, stamp int64) {
	hash := e.keys.hash(k)
	p, found := e.entries.put(hash, k, stamp)
	if found {
		e.refers -= e.size(k, *p)
	} else if e.removed.count > 0 {
		e.unremember(hash, k)
	}
	*p = v
	e.refers += e.size(k, v)
}

// Remove takes a key out, and remembers that. It reports whether the key was there.
func (e *Edit[K, V]) Remove(k K, stamp int64) bool {
	hash := e.keys.hash(k)
	v, ok := e.entries.remove(hash, k)
	if !ok {
		return false
	}
	var none V
	e.refers += e.size(k, none) - e.size(k, v)
	e.removed.put(hash, k, stamp)
	return true
}

// ForgetRemovals forgets which keys were removed, up to and including a stamp.
func (e *Edit[K, V]) ForgetRemovals(stamp int64) {
	if stamp <= e.forgotten {
		return
	}
	e.forgotten = stamp
	var keys []K
	e.removed.all(func(k K, _ struct{}, at int64) bool {
		if at <= stamp {
			keys = append(keys, k)
		}
		return true
	})
	for _, k := range keys {
		e.unremember(e.keys.hash(k), k)
	}
}

// unremember forgets that a key was removed, if it was.
func (e *Edit[K, V]) unremember(hash uint64, k K) {
	if _, ok := e.removed.remove(hash, k); ok {
		var none V
		e.refers -= e.size(k, none)
	}
}

// Commit returns the version that was made. What the edit does afterwards is part of the
// version after that.
func (e *Edit[K, V]) Commit() *Table[K, V] {
	owner := e.owners.Add(1)
	return &Table[K, V]{
		keys: e.keys, size: e.size, owners: e.owners, refers: e.refers, forgotten: e.forgotten,
		entries: e.entries.commit(owner), removed: e.removed.commit(owner),
	}
}
