package variables

import (
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/rdd/encoding"
)

// Cell is a row as people see it: encodings of what it holds.
type Cell struct {
	Key   []byte
	Kind  Kind
	Name  string
	Entry []byte // number of a list's element, key of a map; nil for a value
	Value []byte
	Timer time.Time // if the kind is Timers
	Set   time.Time // when it was, if the row says so: of maps' entries and timers, whose rows change with their neighbours
}

// Parse reads a row of which the types aren't known. It reports false for one that tells
// people nothing: that of a list or map itself.
func Parse(row, data []byte) (c Cell, ok bool, err error) {
	n, rest, err := encoding.DecodeArrayLen(row)
	if err != nil {
		return c, false, err
	}
	after, err := encoding.Skip(rest)
	if err != nil {
		return c, false, err
	}
	c.Key = rest[:len(rest)-len(after)]
	tag, entry, err := encoding.DecodeString(after)
	if err != nil {
		return c, false, err
	}
	if c.Kind, c.Name, ok = cutTag(tag); !ok || n != 2 && n != 3 {
		return c, false, fmt.Errorf("%w: a row of %d parts, of %q", encoding.ErrCorrupt, n, tag)
	}
	if c.Value = data; c.Kind == Value {
		return c, true, nil
	}
	if c.Entry = entry; n == 2 {
		return c, false, nil
	}
	if c.Kind == List {
		return c, true, nil
	}
	l, err := linkOf(data)
	c.Set = time.Unix(0, l.set)
	if c.Value = l.value; err == nil && c.Kind == Timers {
		c.Timer = time.Unix(0, l.endOf(&Variable{Kind: Timers}, string(entry)))
	}
	return c, err == nil, err
}
