package ranges

import (
	"slices"
	"time"
)

// buffer holds what no reader has asked for yet: prefetched streams and the
// leftovers of ended ranges. Their cost stays below limit. It belongs to
// Reader.mu.
type buffer struct {
	limit, used int64
	early       map[Range]*stream
	left        map[partitionKey]leftover
	order       []partitionKey // of left, oldest first
}

// leftover is what a response held past a range's Until: a chunk to go on with
// in a range that begins exactly there.
type leftover struct {
	chunk
	id   [16]byte
	from int64
}

// prefetchAge is when a prefetched range that nobody has read makes room.
const prefetchAge = 30 * time.Second

func newBuffer(limit int64) buffer {
	return buffer{limit: limit, early: make(map[Range]*stream), left: make(map[partitionKey]leftover)}
}

func (b *buffer) has(rg Range) bool { return b.early[rg] != nil }

// admit takes a prefetched stream unless there is no room.
func (b *buffer) admit(s *stream) bool {
	if s.cost > b.limit {
		return false
	}
	for b.used+s.cost > b.limit && len(b.order) > 0 {
		b.drop(b.order[0])
	}
	if b.used+s.cost > b.limit {
		for rg, old := range b.early {
			if s.opened.Sub(old.opened) > prefetchAge {
				old.closed, old.ready = true, nil
				b.claim(rg)
			}
		}
	}
	if b.used+s.cost > b.limit {
		return false
	}
	b.early[s.rg] = s
	b.used += s.cost
	return true
}

// claim gives a prefetched stream to its reader. nil if there is none.
func (b *buffer) claim(rg Range) *stream {
	s := b.early[rg]
	if s == nil {
		return nil
	}
	delete(b.early, rg)
	b.used -= s.cost
	s.cost = 0
	return s
}

// arrived corrects the cost of a stream that is still prefetched.
func (b *buffer) arrived(s *stream, cost int64) {
	if b.early[s.rg] == s {
		b.used += cost - s.cost
		s.cost = cost
	}
}

// keep remembers a leftover, making room by dropping older ones.
func (b *buffer) keep(s *stream, c chunk) {
	key := s.key()
	b.drop(key)
	if c.cost > b.limit {
		return
	}
	for b.used+c.cost > b.limit && len(b.order) > 0 {
		b.drop(b.order[0])
	}
	if b.used+c.cost > b.limit {
		return
	}
	b.left[key] = leftover{c, s.id, s.rg.Until}
	b.order = append(b.order, key)
	b.used += c.cost
}

// leftover takes the leftover that the range can begin with. One of the same
// partition that it cannot begin with stays: a retry reads backwards.
func (b *buffer) leftover(rg Range) (chunk, bool) {
	key := partitionKey{rg.Topic, rg.Partition}
	l, ok := b.left[key]
	if !ok || l.from != rg.From || l.id != rg.TopicID {
		return chunk{}, false
	}
	b.drop(key)
	return l.chunk, true
}

func (b *buffer) drop(key partitionKey) {
	l, ok := b.left[key]
	if !ok {
		return
	}
	delete(b.left, key)
	b.used -= l.cost
	b.order = slices.DeleteFunc(b.order, func(k partitionKey) bool { return k == key })
}
