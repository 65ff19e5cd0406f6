package ranges

// A partition of which there is much more than what is planned is read ahead of the plans, by the only
// Reader that there is: the broker has work while batches are planned, requests are of a full size, and
// no record batch comes twice because a range ends inside of it. What is read ahead is a stream of
// all that there was of the partition: a range reads some of it, and leaves the rest to the one right
// behind it. Such a stream isn't tried again, whatever is wrong: it ends, and the range goes on
// with one of its own.

// aheadChunks is how many chunks of a full size are read ahead of a partition. A batch that takes more of
// it waits for what it is the first to ask for.
const aheadChunks = 2

// prefetchRoom is how much of the limit may be prefetched. The rest is for leftovers.
func (b *buffer) prefetchRoom() int64 { return b.limit - b.limit/4 }

// reserve reports whether another partition may be read ahead, which then counts until its stream
// is dropped: what all of them may hold has room.
func (b *buffer) reserve(o *Options) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if int64(b.aheads+1)*aheadChunks*int64(o.PartitionBytes) > b.prefetchRoom() {
		return false
	}
	b.aheads++
	return true
}

// park keeps a stream that is ahead for the range that begins at an offset, in place of another one
// of the partition. It reports false if there is no room for what it holds, or it is over.
func (b *buffer) park(s *stream, from int64, o *Options) (parked bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var asked int64
	if s.park() {
		asked = int64(o.PartitionBytes)
	}
	cost := s.waitingCost()
	if b.limit == 0 || b.used-s.cost+cost+asked > b.limit || cost == 0 && s.isOver() {
		return false
	}
	if other := b.parked[s.key()]; other != nil {
		b.remove(other)
		b.end(other)
	}
	s.from = from
	b.parked[s.key()] = s
	b.wanting = append(b.wanting, s)
	b.count(s, cost-s.cost, asked)
	return true
}

// follow returns the stream ahead that a range can go on with, nil if there is none. It is called with
// mu held.
func (b *buffer) follow(rg Range) *stream {
	s := b.parked[partitionKey{rg.Topic, rg.Partition}]
	if s == nil || s.from != rg.From || s.rg.TopicID != rg.TopicID {
		return nil
	}
	return s
}

// end drops a stream. It is called with mu held.
func (b *buffer) end(s *stream) {
	s.close()
	b.count(s, -s.cost, -s.asked)
	if s.ahead {
		b.aheads--
	}
}
