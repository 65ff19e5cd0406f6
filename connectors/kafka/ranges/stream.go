package ranges

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// stream is one range on its way from the broker to its reader.
//
// THREADING: mu guards what the reader and the fetching of the stream share.
// While inflight is set the stream is in exactly one place: the router's list, a
// link's queue, or a request. Whoever has it there is its holder, and nobody else
// uses the fields of the holder or changes next. begin makes its caller the
// holder; move, deliver and fail end that.
//
// Invariant: From <= next. While next < until and err is nil and the stream isn't
// closed, it is inflight, or a chunk waits, or nobody has asked for more.
type stream struct {
	rg    Range
	ahead bool          // it goes on behind what is planned, see buffer.park
	wake  chan struct{} // holds a token when something has changed

	mu       sync.Mutex
	next     int64 // the offset to fetch next
	until    int64 // how far to fetch now: rg.Until, or where the range ends that is read of one ahead
	ready    []chunk
	err      error
	inflight bool // somebody is its holder
	closed   bool // nobody reads on
	early    bool // it is prefetched, and nobody reads it yet: the buffer says when it asks for more

	// The holder's.
	id         [16]byte  // the topic's, rg.TopicID unless that is zero
	at         leader    // where the next fetch goes
	alone      bool      // ask for it in a request of its own: an empty answer proves a gap
	wants      int       // size of a batch that was cut off
	cuts       int       // times in a row that happened
	tries      int       // attempts without progress
	retryAt    time.Time // when to try again
	doubtSince time.Time // when a broker first said the topic or partition is gone or too short
	shortSince time.Time // when the log's end was first seen before Until

	waiting bool // the outage's: counted there

	// The buffer's, of a prefetched stream.
	from  int64 // where the range begins that can be read of one ahead
	cost  int64 // bytes of its chunks that were prefetched and not taken yet
	asked int64 // bytes of the chunk that is asked for, 0 if none is
	late  int64 // bytes of the chunk that is tried again, 0 if none is: the streams behind go first
}

// chunk is what one response holds of one stream.
type chunk struct {
	walker
	next  int64 // offset after the last batch
	epoch int32 // of the leader that sent it
	size  int64 // bytes of the response that are its own
	whole int64 // bytes of the response, which it keeps alive
}

// newChunk returns the whole batches of a part of a response, of so many bytes in all, by the
// leader of an epoch.
func newChunk(p *kmsg.FetchResponseTopicPartition, epoch int32, total int, sc scanned, o *Options, dec *decompressor) chunk {
	return chunk{
		walker: newWalker(p.RecordBatches[:sc.bytes:sc.bytes], p.AbortedTransactions, o.MaxBatchBytes, dec),
		next:   sc.next,
		epoch:  epoch,
		size:   int64(len(p.RecordBatches)),
		whole:  int64(total),
	}
}

// What a chunk that is kept for later may keep alive of its response: all of one that is small,
// and of others a few times what is left of the chunk.
const (
	smallWhole = 4 * pollBytes
	fewTimes   = 8
)

// clings reports whether what is left of the chunk keeps much more alive than that.
func (c *chunk) clings() bool {
	return c.whole > max(smallWhole, fewTimes*int64(len(c.batches)))
}

// own copies what is left of a chunk that is kept for later, if it clings to its response.
func (c *chunk) own() {
	if !c.clings() {
		return
	}
	rest := int64(len(c.batches))
	c.batches = bytes.Clone(c.batches)
	if c.inside.size > 0 && c.inside.attrs&attrCodec == codecNone {
		c.inside.records = c.batches[batchHeader:c.inside.size]
	}
	c.size, c.whole = rest, rest
}

// cost is how many bytes the chunk takes, of its response and decompressed.
func (c *chunk) cost() int64 { return c.size + c.unpacked() }

// ownCost is the chunk's cost after own.
func (c *chunk) ownCost() int64 {
	if c.clings() {
		return int64(len(c.batches)) + c.unpacked()
	}
	return c.cost()
}

// unpacked is how many decompressed bytes the chunk holds.
func (c *chunk) unpacked() int64 {
	if c.inside.attrs&attrCodec == codecNone {
		return 0
	}
	return int64(len(c.inside.records))
}

// maxReady is how many chunks may wait for a reader: one is being walked and one in flight
// beside them, and beside those that were prefetched or polls have read ahead.
const maxReady = 2

func newStream(rg Range) *stream {
	return &stream{rg: rg, id: rg.TopicID, next: rg.From, until: rg.Until, wake: make(chan struct{}, 1)}
}

func (s *stream) key() partitionKey { return partitionKey{s.rg.Topic, s.rg.Partition} }

// attrs names the stream in the log; a Planner's stands for all of its topics.
func (s *stream) attrs() []any {
	if s.rg.Until == 0 {
		return []any{"for", "the plan of " + s.rg.Topic}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return []any{"for", s.rg.String(), "next", s.next}
}

// signal tells the reader that something changed. It may have told it already.
func (s *stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// resume lets a new stream begin with what the range before it had left over. The chunks are
// the stream's.
func (s *stream) resume(cs []chunk) {
	s.ready, s.next = cs, min(cs[len(cs)-1].next, s.rg.Until)
}

// begin makes the caller the stream's holder, unless it has one, two chunks wait for its reader,
// or there is nothing more to fetch.
func (s *stream) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inflight || s.closed || s.err != nil || s.next >= s.until || len(s.ready) >= maxReady && !s.early {
		return false
	}
	s.inflight = true
	return true
}

// take returns the stream's next chunk. isOver says that there is none any more,
// because of err or, if that is nil, as the range has ended.
func (s *stream) take() (c chunk, ok, isOver bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.ready) > 0:
		c = s.ready[0]
		s.ready = append(s.ready[:0], s.ready[1:]...)
		return c, true, false, nil
	case s.err != nil:
		return chunk{}, false, true, s.err
	}
	return chunk{}, false, s.next >= s.until, nil
}

// close says that nobody reads on.
func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.ready = true, nil
}

func (s *stream) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// holds reports whether a chunk waits for the reader.
func (s *stream) holds() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ready) > 0
}

// isOver reports whether there is nothing more to fetch.
func (s *stream) isOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed || s.err != nil || s.next >= s.until
}

// rest is how many offsets are to be fetched.
func (s *stream) rest() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, s.until-s.next)
}

// claim says that somebody reads a prefetched stream, up to an offset or as far as it goes. One that
// has failed goes on: what was wrong may be right by now. Not so one that is ahead, which is replaced.
func (s *stream) claim(until int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.early, s.until = false, min(until, s.rg.Until)
	if s.err != nil && !s.ahead { // so nobody is its holder
		s.err = nil
		s.progress()
	}
}

// yieldBack gives back what its reader has left of a chunk, before the others.
func (s *stream) yieldBack(c chunk) {
	c.own()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = slices.Insert(s.ready, 0, c)
}

// park says that nobody reads a stream now. It reports whether a chunk is on its way.
func (s *stream) park() (inflight bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.early, s.until = true, s.rg.Until
	return s.inflight
}

// waitingCost is how many bytes the chunks take that wait for a reader.
func (s *stream) waitingCost() (cost int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.ready {
		cost += s.ready[i].cost()
	}
	return cost
}

// deliver hands a chunk to the reader; the stream goes on after it. What was wrong
// is forgotten. The caller stays the holder if somebody reads the stream and there is more to
// ask for.
func (s *stream) deliver(c chunk) (goesOn bool) {
	s.progress()
	s.mu.Lock()
	if !s.closed {
		s.ready = append(s.ready, c)
	}
	s.next = c.next
	s.inflight = !s.early && !s.closed && s.next < s.until && len(s.ready) < maxReady
	goesOn = s.inflight
	s.mu.Unlock()
	s.signal()
	return goesOn
}

// move goes on at an offset: nothing is to be read before it.
func (s *stream) move(next int64) {
	s.mu.Lock()
	s.next, s.inflight = next, false
	s.mu.Unlock()
	s.signal()
}

// fail ends the stream.
func (s *stream) fail(err error) {
	s.mu.Lock()
	s.err, s.inflight = err, false
	s.mu.Unlock()
	s.signal()
}

// progress forgets what was wrong.
func (s *stream) progress() {
	s.tries, s.cuts, s.wants, s.alone = 0, 0, 0, false
	s.doubtSince, s.shortSince = time.Time{}, time.Time{}
}

// backoff is how long to wait before the next attempt: 10 ms, doubled up to
// half a second.
func (s *stream) backoff() time.Duration {
	d := min(10*time.Millisecond<<min(s.tries, 10), 500*time.Millisecond)
	s.tries++
	return d
}
