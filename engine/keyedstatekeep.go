package engine

import (
	"fmt"

	"github.com/hibana-engine/hibana/rdd"
	"github.com/hibana-engine/hibana/rdd/keyed"
	"github.com/hibana-engine/hibana/rdd/lineage"
)

// Bytes implements rdd.Sized.
func (v version[K, S]) Bytes() int64 {
	n := v.table.Bytes()
	if v.due != nil {
		n += v.due.Bytes()
	}
	return n
}

// Copied implements rdd.Sized.
func (v version[K, S]) Copied() int64 {
	n := v.table.Copied()
	if v.due != nil {
		n += v.due.Copied()
	}
	return n
}

// refers returns how many bytes a key and its value refer to, where that is known without
// reflection: of strings and byte slices.
func refers[K comparable, S any](k K, v S) int64 {
	var n int64
	if s, is := any(k).(string); is {
		n += int64(len(s))
	}
	switch v := any(v).(type) {
	case string:
		n += int64(len(v))
	case []byte:
		n += int64(cap(v))
	}
	return n
}

// owned makes what a state keeps own the strings and bytes in it: what tasks are given may
// be parts of large blocks.
type owned[K comparable, S any] struct {
	key   func(*K) // nil where there is nothing to do
	value func(*S)
}

func newOwned[K comparable, S any]() owned[K, S] {
	return owned[K, S]{rdd.Owning[K](), rdd.Owning[S]()}
}

// put puts a value under a key, which is there already or not.
func (o *owned[K, S]) put(edit *keyed.Edit[K, S], k K, value S, there bool, at int64) {
	if o.key != nil && !there {
		k = ownedCopy(k, o.key)
	}
	if o.value != nil {
		value = ownedCopy(value, o.value)
	}
	edit.Put(k, value, at)
}

// ownedCopy is a function of its own, so that values with nothing to own stay on the stack.
func ownedCopy[T any](v T, own func(*T)) T {
	own(&v)
	return v
}

// spreadOf tells a partitioner from others: by what its String says, else by its type and
// what it holds.
func spreadOf(p rdd.Partitioner) string {
	if _, ok := p.(fmt.Stringer); ok {
		return lineage.PartitionerName(p)
	}
	return fmt.Sprintf("%s %+v", lineage.PartitionerName(p), p)
}
