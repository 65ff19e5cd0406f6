package keyed

import (
	"math"
	"sync/atomic"
)

// Table is one version of the keyed state of a partition. It never changes and may be
// used by several goroutines.
type Table[K comparable, V any] struct {
	keys    *Keys[K]
	size    func(K, V) int64
	owners  *atomic.Uint64 // the last owner that an edit of any version was
	entries tree[K, V]
	removed tree[K, struct{}]
	refers  int64 // bytes that keys and values refer to

	forgotten int64 // removals up to this stamp aren't remembered
}

// New returns an empty table. size says about how many bytes a key and its value refer to
// outside of themselves, such as those of strings; nil says none.
func New[K comparable, V any](keys Keys[K], size func(K, V) int64) *Table[K, V] {
	if size == nil {
		size = func(K, V) int64 { return 0 }
	}
	return &Table[K, V]{
		keys: &keys, size: size, owners: new(atomic.Uint64),
		entries: newTree[K, V](), removed: newTree[K, struct{}](),
		forgotten: math.MinInt64,
	}
}

// Len returns the number of entries.
func (t *Table[K, V]) Len() int { return t.entries.count }

// Bytes returns about how much memory the table takes, of which it shares most with the
// versions before and after it.
func (t *Table[K, V]) Bytes() int64 {
	return t.entries.bytes() + t.removed.bytes() + max(0, t.refers)
}

// Copied returns about how much of the version before was copied to make the table: what
// both take is [Table.Bytes] of the newer one and this.
func (t *Table[K, V]) Copied() int64 { return t.entries.copied + t.removed.copied }

// Get returns the value of a key, and its stamp.
func (t *Table[K, V]) Get(k K) (v V, stamp int64, ok bool) {
	return t.entries.get(t.keys, t.keys.hash(k), k)
}

// All yields the entries in the order of their hashes, until yield returns false.
func (t *Table[K, V]) All(yield func(k K, v V, stamp int64) bool) {
	t.entries.each(t.keys, math.MinInt64, math.MaxInt64, yield)
}

// Until yields the entries whose stamp isn't later than the given one, in the order of
// their hashes, until yield returns false. If there are none, that costs next to nothing.
func (t *Table[K, V]) Until(stamp int64, yield func(k K, v V, stamp int64) bool) {
	t.entries.each(t.keys, math.MinInt64, stamp, yield)
}

// Since yields what changed after a stamp: to put the entries that were put later, to
// removed the keys that were removed later and aren't there, each in the order of their
// hashes, until one of them returns false. Removals up to the last
// [Edit.ForgetRemovals] are missing.
func (t *Table[K, V]) Since(stamp int64, put func(k K, v V, stamp int64) bool, removed func(k K, stamp int64) bool) {
	if stamp == math.MaxInt64 {
		return
	}
	more := true
	t.entries.each(t.keys, stamp+1, math.MaxInt64, func(k K, v V, stamp int64) bool {
		more = put(k, v, stamp)
		return more
	})
	if more {
		t.removed.each(t.keys, stamp+1, math.MaxInt64, func(k K, _ struct{}, stamp int64) bool { return removed(k, stamp) })
	}
}

// Edit begins the next version.
func (t *Table[K, V]) Edit() *Edit[K, V] {
	owner := t.owners.Add(1)
	entries, removed := t.entries, t.removed
	entries.copied, removed.copied = 0, 0
	return &Edit[K, V]{
		keys: t.keys, size: t.size, owners: t.owners, refers: t.refers, forgotten: t.forgotten,
		entries: editor[K, V]{tree: entries, keys: t.keys, owner: owner},
		removed: editor[K, struct{}]{tree: removed, keys: t.keys, owner: owner},
	}
}
