package ranges

import "slices"

// prefetchChunks is how many chunks of a full size may be on their way at a time for ranges
// that nobody reads yet: as many as a client has that fetches from three brokers. Of short ranges
// these are many, so that one request asks for all. Where partitions are read ahead it is twice as much,
// so that each of two connections has a large request. What is tried again (again) comes on top.
const prefetchChunks = 3

// has reports whether a range is prefetched already, or its partition is read ahead there.
func (b *buffer) has(rg Range) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.early[rg] != nil || b.follow(rg) != nil
}

// keeps reports whether a stream is prefetched, and nobody reads it. It is called with mu held.
func (b *buffer) keeps(s *stream) bool { return b.early[s.rg] == s || b.parked[s.key()] == s }

// admit takes a stream that is to be prefetched, behind those that it has, unless it has one of
// the range.
func (b *buffer) admit(s *stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limit == 0 || b.early[s.rg] != nil {
		return
	}
	b.early[s.rg] = s
	b.wanting = append(b.wanting, s)
	for i := range s.ready { // what the range before had left over
		b.count(s, s.ready[i].cost(), 0)
	}
}

// due returns the prefetched streams whose next chunks are to be fetched now: those that will
// be read first, as far as there is room. Room that these will need isn't given to those behind.
// Those that are tried again are left to the router.
func (b *buffer) due(h *history, o *Options) (due []*stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	most, onWay := prefetchChunks*int64(o.PartitionBytes), int64(0)
	b.wanting = slices.DeleteFunc(b.wanting, func(s *stream) bool {
		if s.isOver() {
			b.count(s, 0, -s.asked)
			return true
		}
		if s.late == 0 {
			onWay += s.asked
		}
		return false
	})
	var later int64 // what the streams so far will ask for afterwards
	for _, s := range b.wanting {
		if s.late > 0 {
			continue
		}
		wants, most := h.rest(s), most
		if s.ahead {
			if wants = min(wants, aheadChunks*int64(o.PartitionBytes)-s.cost); wants <= 0 {
				continue
			}
			most *= 2
		}
		if s.asked == 0 {
			ask := max(1, int64(h.estimate(s, o.PartitionBytes)))
			if onWay+ask > most || !b.makeRoom(ask, later) {
				break
			}
			b.count(s, 0, ask)
			onWay += ask
			due = append(due, s)
		}
		later += max(0, wants-s.asked)
	}
	return due
}

// makeRoom drops the oldest leftovers, if it must, so that as much can be prefetched. It reports
// whether there is room, beside what is reserved. For the last quarter of the limit nothing is asked:
// it is for leftovers, also those with which ranges begin (admit).
// It is called with mu held.
func (b *buffer) makeRoom(bytes, reserved int64) bool {
	if b.fetched+reserved+bytes > b.prefetchRoom() {
		return false
	}
	for b.used+bytes > b.limit && len(b.order) > 0 {
		b.drop(b.order[0])
	}
	return b.used+bytes <= b.limit
}

// postpone lets the streams behind a prefetched one go first: what it asked for didn't come, and
// its holder will try again.
func (b *buffer) postpone(s *stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.keeps(s) || s.asked == 0 {
		return
	}
	s.late = s.asked
	b.count(s, 0, -s.asked)
	i := slices.Index(b.wanting, s) // it is there, as it has asked for something
	b.wanting = append(slices.Delete(b.wanting, i, i+1), s)
}

// again reports whether a stream may be tried again now. Of those that were postponed, and that
// nobody has claimed or forgotten since, this is one chunk of a full size at a time, if there is
// room, so that they are in nobody's way.
func (b *buffer) again(s *stream, o *Options) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.keeps(s) || s.late == 0 || s.asked > 0 {
		return true
	}
	var onWay int64
	for _, other := range b.wanting {
		if other.late > 0 {
			onWay += other.asked
		}
	}
	if onWay > 0 && onWay+s.late > int64(o.PartitionBytes) || !b.makeRoom(s.late, 0) {
		return false
	}
	b.count(s, 0, s.late)
	return true
}

// deliver hands a stream the chunk that came, and counts it as such, unless the stream is read
// meanwhile. It reports what stream.deliver does.
func (b *buffer) deliver(s *stream, c chunk) (goesOn bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.keeps(s) {
		b.count(s, c.size, -s.asked)
		s.late = 0
	}
	return s.deliver(c)
}

// claim gives a prefetched stream, or one that is ahead there, to its reader. nil if there is none.
func (b *buffer) claim(rg Range) *stream {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.early[rg]
	if s == nil {
		s = b.follow(rg)
	}
	if s == nil {
		return nil
	}
	s.claim(rg.Until)
	b.remove(s)
	b.count(s, 0, -s.asked)
	s.late = 0
	return s
}

// taken notes that the reader of a stream has taken a chunk. It reports whether there is more
// room now.
func (b *buffer) taken(s *stream, cost int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	cost = min(cost, s.cost)
	b.count(s, -cost, 0)
	return cost > 0
}

// release drops a stream: nobody reads on.
func (b *buffer) release(s *stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(s)
}

// forget drops the prefetched stream of a range and returns it. nil if there is none.
func (b *buffer) forget(rg Range) *stream {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.early[rg]
	if s == nil {
		return nil
	}
	b.remove(s)
	b.end(s)
	return s
}

// remove is called with mu held.
func (b *buffer) remove(s *stream) {
	if s.ahead {
		delete(b.parked, s.key())
	} else {
		delete(b.early, s.rg)
	}
	b.wanting = slices.DeleteFunc(b.wanting, func(o *stream) bool { return o == s })
}

// count adds to what a stream holds and has asked for. It is called with mu held.
func (b *buffer) count(s *stream, cost, asked int64) {
	if b.limit == 0 {
		return // closed
	}
	s.cost += cost
	s.asked += asked
	b.fetched += cost + asked
	b.used += cost + asked
}
