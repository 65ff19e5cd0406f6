package ranges

import (
	"slices"
	"sync"
)

// buffer holds what no reader has taken yet: chunks of prefetched streams (prefetched.go) and
// the leftovers of ended ranges. Nothing is asked for, and no leftover kept, that would cost more
// than limit leaves; only a batch that is larger than what was asked for comes over it.
//
// THREADING: mu guards it, and from, cost, asked and late of every stream. Of other locks those of
// streams and of the history are taken meanwhile.
type buffer struct {
	mu          sync.Mutex
	limit, used int64
	early       map[Range]*stream        // prefetched streams that nobody reads yet
	wanting     []*stream                // of early and parked, those that want more: in the order in which they will be read, postponed ones last
	fetched     int64                    // part of used: cost and asked of streams
	parked      map[partitionKey]*stream // streams ahead that nobody reads now
	aheads      int                      // streams ahead, those that are read too
	left        map[partitionKey]leftover
	order       []partitionKey // of left, oldest first
}

// leftover is what responses held past a range's Until: chunks to go on with, one right
// behind the other, in a range that begins exactly there.
type leftover struct {
	chunks []chunk
	id     [16]byte
	from   int64
}

// end returns the offset behind the chunks.
func (l *leftover) end() int64 { return l.chunks[len(l.chunks)-1].next }

// cost is how many bytes the chunks take.
func (l *leftover) cost() (bytes int64) {
	for i := range l.chunks {
		bytes += l.chunks[i].cost()
	}
	return bytes
}

// What is kept of a partition ahead of the ranges that are planned.
const (
	maxAhead      = 16 // chunks
	maxAheadBytes = 4 * pollBytes
)

func newBuffer(limit int64) *buffer {
	return &buffer{limit: limit, early: make(map[Range]*stream), parked: make(map[partitionKey]*stream), left: make(map[partitionKey]leftover)}
}

// keep remembers what there is of a partition from an offset on, making room by
// dropping older leftovers. Of what there was of the partition only what comes right behind
// stays. It reports whether there was room.
func (b *buffer) keep(key partitionKey, id [16]byte, from int64, c chunk) (kept bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l, ok := b.left[key]; ok && (l.id != id || l.from != c.next) {
		b.drop(key)
	}
	cost := c.ownCost()
	for b.used+cost > b.limit && len(b.order) > 0 && cost <= b.limit-b.fetched {
		b.drop(b.order[0])
	}
	if b.used+cost > b.limit {
		return false
	}
	c.own()
	l, ok := b.left[key]
	if !ok {
		b.order = append(b.order, key)
	}
	b.left[key] = leftover{slices.Insert(l.chunks, 0, c), id, from}
	b.used += cost
	return true
}

// extend adds to what is kept of a partition what comes right behind it. It reports false if
// there is no such thing, or enough of it.
func (b *buffer) extend(key partitionKey, id [16]byte, from int64, c chunk) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	l, ok := b.left[key]
	if !ok || l.id != id || l.end() != from {
		return false
	}
	cost := c.ownCost()
	if len(l.chunks) >= maxAhead || l.cost()+cost > maxAheadBytes || b.used+cost > b.limit {
		return false
	}
	c.own()
	l.chunks = append(l.chunks, c)
	b.left[key] = l
	b.used += cost
	return true
}

// leftover takes what the range can begin with, as far as it goes. What is left of the same
// partition that it cannot begin with stays: a retry reads backwards. What an earlier leader sent
// than that by which the range was planned is dropped: one that was elected without having all
// records (unclean.leader.election.enable) may have others at these offsets.
func (b *buffer) leftover(rg Range) []chunk {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := partitionKey{rg.Topic, rg.Partition}
	l, ok := b.left[key]
	if !ok || l.from != rg.From || l.id != rg.TopicID {
		return nil
	}
	if slices.ContainsFunc(l.chunks, func(c chunk) bool { return c.epoch < rg.LeaderEpoch }) {
		b.drop(key)
		return nil
	}
	n := 1
	for n < len(l.chunks) && l.chunks[n-1].next < rg.Until {
		n++
	}
	if n == len(l.chunks) {
		b.drop(key)
		return l.chunks
	}
	taken := leftover{chunks: slices.Clone(l.chunks[:n])}
	b.used -= taken.cost()
	b.left[key] = leftover{slices.Delete(l.chunks, 0, n), l.id, taken.end()}
	return taken.chunks
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
	b.limit, b.used, b.fetched, b.order, b.wanting = 0, 0, 0, nil, nil
	clear(b.early)
	clear(b.parked)
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
