package variables

import (
	"github.com/hibana-engine/hibana/rdd/encoding"
)

// span is the row of a list itself: there are the elements from first on, until next.
type span struct{ first, next uint64 }

// spanOf returns the span of a list, which is empty if it has no row.
func spanOf(c Cells, v *Variable) span {
	data, ok := c.get(v, "")
	if !ok {
		return span{}
	}
	r := reader{data: data}
	r.array(2)
	s := span{first: r.number(), next: r.number()}
	if r.err != nil {
		c.Fail(r.err)
	}
	return s
}

// store sets the row of a list itself; an empty one has none.
func (s span) store(c Cells, v *Variable) {
	if s.first >= s.next {
		c.remove(v, "")
		return
	}
	data := encoding.AppendUint(encoding.AppendArrayLen(nil, 2), s.first)
	c.put(v, "", encoding.AppendUint(data, s.next), never)
}

// element returns the entry of an element.
func element(n uint64) string {
	var buf [9]byte
	return string(encoding.AppendUint(buf[:0], n))
}

// Append appends to a list.
func Append(c Cells, v *Variable, data []byte) {
	s := spanOf(c, v)
	c.put(v, element(s.next), data, v.end(c.Now()))
	s.next++
	s.store(c, v)
}

// Elements yields the data of the elements that a list has when it is called, until yield
// returns false. Those that yield takes away are left out.
func Elements(c Cells, v *Variable, yield func([]byte) bool) {
	s := spanOf(c, v)
	for n := s.first; n < s.next; n++ {
		if data, ok := c.get(v, element(n)); ok && !yield(data) {
			return
		}
	}
}

// ListLen returns how many elements a list has.
func ListLen(c Cells, v *Variable) int {
	s := spanOf(c, v)
	return int(s.next - s.first)
}

// ClearList takes all elements of a list away.
func ClearList(c Cells, v *Variable) {
	s := spanOf(c, v)
	for n := s.first; n < s.next; n++ {
		c.remove(v, element(n))
	}
	span{}.store(c, v)
}

// expireElement takes away an element that has lived its time. Those before it have, too.
func expireElement(c Cells, v *Variable, entry string) {
	n, _, err := encoding.DecodeUint([]byte(entry))
	if err != nil {
		c.Fail(err)
		return
	}
	c.remove(v, entry)
	s := spanOf(c, v)
	s.first = max(s.first, n+1)
	s.store(c, v)
}
