package variables

import (
	"cmp"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

// chain is the row of a map itself: its first and its last key, "" for none.
type chain struct {
	first, last string
	count       uint64
}

// chainOf returns the chain of a map, which is empty if it has no row.
func chainOf(c Cells, v *Variable) (all chain) {
	data, ok := c.get(v, "")
	if !ok {
		return all
	}
	r := reader{data: data}
	r.array(3)
	all.first, all.last, all.count = string(r.bytes()), string(r.bytes()), r.number()
	if r.err != nil {
		c.Fail(r.err)
	}
	return all
}

// store sets the row of a map itself; an empty one has none.
func (all chain) store(c Cells, v *Variable) {
	if all.count == 0 {
		c.remove(v, "")
		return
	}
	data := encoding.AppendArrayLen(nil, 3)
	data = encoding.AppendBytes(data, []byte(all.first))
	data = encoding.AppendBytes(data, []byte(all.last))
	c.put(v, "", encoding.AppendUint(data, all.count), never)
}

// link is the row of an entry of a map.
type link struct {
	set           int64  // when
	before, after []byte // its neighbours' keys, empty for none
	value         []byte
}

// linkOf reads the row of an entry.
func linkOf(data []byte) (l link, err error) {
	r := reader{data: data}
	r.array(4)
	l.set, l.before, l.after = r.time(), r.bytes(), r.bytes()
	l.value = r.data
	return l, r.err
}

// find returns an entry.
func find(c Cells, v *Variable, key string) (l link, ok bool) {
	data, ok := c.get(v, key)
	if !ok {
		return l, false
	}
	l, err := linkOf(data)
	if err != nil {
		c.Fail(err)
	}
	return l, err == nil
}

// store sets the row of an entry.
func (l *link) store(c Cells, v *Variable, key string, end int64) {
	data := make([]byte, 0, 24+len(l.before)+len(l.after)+len(l.value))
	data = encoding.AppendInt(encoding.AppendArrayLen(data, 4), l.set)
	data = encoding.AppendBytes(data, l.before)
	data = encoding.AppendBytes(data, l.after)
	c.put(v, key, append(data, l.value...), end)
}

// endOf returns when an entry ends.
func (l *link) endOf(v *Variable, key string) int64 {
	if v.Kind != Timers {
		return v.end(l.set)
	}
	at, _, err := encoding.DecodeInt([]byte(key))
	if err != nil {
		return never
	}
	return at
}

// Entry returns the data that a map has under a key.
func Entry(c Cells, v *Variable, key string) (data []byte, ok bool) {
	l, ok := find(c, v, key)
	return l.value, ok
}

// SetEntry sets the data that a map has under a key. A new key becomes the last one.
func SetEntry(c Cells, v *Variable, key string, data []byte) {
	l, there := find(c, v, key)
	l.set, l.value = c.Now(), data
	if !there {
		all := chainOf(c, v)
		l.before = []byte(all.last)
		relink(c, v, all.last, func(last *link) { last.after = []byte(key) })
		all.first, all.last = cmp.Or(all.first, key), key
		all.count++
		all.store(c, v)
	}
	l.store(c, v, key, l.endOf(v, key))
}

// RemoveEntry takes a key out of a map.
func RemoveEntry(c Cells, v *Variable, key string) {
	l, there := find(c, v, key)
	if !there {
		return
	}
	c.remove(v, key)
	relink(c, v, string(l.before), func(before *link) { before.after = l.after })
	relink(c, v, string(l.after), func(after *link) { after.before = l.before })
	all := chainOf(c, v)
	if all.first == key {
		all.first = string(l.after)
	}
	if all.last == key {
		all.last = string(l.before)
	}
	all.count--
	all.store(c, v)
}

// relink changes what an entry says of its neighbours, not when it ends. "" is none.
func relink(c Cells, v *Variable, key string, change func(*link)) {
	if key == "" {
		return
	}
	if l, ok := find(c, v, key); ok {
		change(&l)
		l.store(c, v, key, l.endOf(v, key))
	}
}

// Keys returns the keys of a map, in the order in which they came.
func Keys(c Cells, v *Variable) []string {
	all := chainOf(c, v)
	var keys []string
	for key := all.first; key != "" && uint64(len(keys)) < all.count; {
		l, ok := find(c, v, key)
		if !ok {
			break
		}
		keys = append(keys, key)
		key = string(l.after)
	}
	return keys
}

// MapLen returns how many keys a map has.
func MapLen(c Cells, v *Variable) int { return int(chainOf(c, v).count) }

// ClearMap takes all entries of a map away.
func ClearMap(c Cells, v *Variable) {
	for _, key := range Keys(c, v) {
		c.remove(v, key)
	}
	chain{}.store(c, v)
}
