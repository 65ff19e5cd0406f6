package ranges

import (
	"slices"
	"sync"
	"time"
)

// buffer holds what no reader has asked for yet: prefetched streams and the
// leftovers of ended ranges. Their cost stays below limit.
//
// THREADING: mu guards it, and opened and cost of every stream in it. Of other
// locks only a stream's is taken meanwhile.
type buffer struct {
	mu          sync.Mutex
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

func newBuffer(limit int64) *buffer {
	return &buffer{limit: limit, early: make(map[Range]*stream), left: make(map[partitionKey]leftover)}
}

// has reports whether a range is prefetched already.
func (b *buffer) has(rg Range) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.early[rg] != nil
}

// admit takes a prefetched stream, unless there is no room or there is one of the
// range.
func (b *buffer) admit(s *stream) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.cost > b.limit || b.early[s.rg] != nil {
		return false
	}
	for b.used+s.cost > b.limit && len(b.order) > 0 {
		b.drop(b.order[0])
	}
	if b.used+s.cost > b.limit {
		for rg, old := range b.early {
			if s.opened.Sub(old.opened) > prefetchAge {
				old.close()
				b.remove(rg)
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
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.remove(rg)
}

// remove is called with mu held.
func (b *buffer) remove(rg Range) *stream {
	s := b.early[rg]
	if s == nil {
		return nil
	}
	delete(b.early, rg)
	b.used -= s.cost
	s.cost = 0
	return s
}

// arrived corrects the cost of a stream that is still prefetched, and reports
// whether it is.
func (b *buffer) arrived(s *stream, cost int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.early[s.rg] != s {
		return false
	}
	b.used += cost - s.cost
	s.cost = cost
	return true
}

// keep remembers what there is of a partition from an offset on, making room by
// dropping older leftovers.
func (b *buffer) keep(key partitionKey, id [16]byte, from int64, c chunk) {
	b.mu.Lock()
	defer b.mu.Unlock()
	cost := c.cost()
	b.drop(key)
	if cost > b.limit {
		return
	}
	for b.used+cost > b.limit && len(b.order) > 0 {
		b.drop(b.order[0])
	}
	if b.used+cost > b.limit {
		return
	}
	b.left[key] = leftover{c, id, from}
	b.order = append(b.order, key)
	b.used += cost
}

// leftover takes the leftover that the range can begin with. One of the same
// partition that it cannot begin with stays: a retry reads backwards.
func (b *buffer) leftover(rg Range) (chunk, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := partitionKey{rg.Topic, rg.Partition}
	l, ok := b.left[key]
	if !ok || l.from != rg.From || l.id != rg.TopicID {
		return chunk{}, false
	}
	b.drop(key)
	return l.chunk, true
}

// begins returns where a partition's leftover begins.
func (b *buffer) begins(key partitionKey) (from int64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l, ok := b.left[key]
	return l.from, ok
}

// close drops all and takes nothing more.
func (b *buffer) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limit, b.used, b.order = 0, 0, nil
	clear(b.early)
	clear(b.left)
}

// drop is called with mu held.
func (b *buffer) drop(key partitionKey) {
	l, ok := b.left[key]
	if !ok {
		return
	}
	delete(b.left, key)
	b.used -= l.cost()
	b.order = slices.DeleteFunc(b.order, func(k partitionKey) bool { return k == key })
}
