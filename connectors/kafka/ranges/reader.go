package ranges

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Reader reads ranges. One serves a whole executor process: its Read may be
// called by many task slots at once. It has its own connections, so that no
// fetch waits behind a consumer's long poll.
//
// Threading: Read runs in its caller and walks chunks. The router goroutine asks
// for leaders and hands each stream that wants more to its leader's link. Every
// link has Options.Connections fetcher goroutines, each with a connection of its
// own; a fetcher takes pending streams, sends one request for all of them and
// deliver their chunks. Close ends and awaits them all. mu guards what they
// share and is never held during I/O.
type Reader struct {
	opts    Options
	clients []*kgo.Client
	dec     *decompressor
	ctx     context.Context // ends when the Reader is closed
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	routing chan struct{} // wakes the router; capacity 1

	mu       sync.Mutex
	leaders  map[partitionKey]route
	links    map[int32]*link
	unrouted []*stream
	waiting  outage
	sizes    map[partitionKey]sizes
	read     map[partitionKey]int64 // Until of the range that was read last
	buffer   buffer
	stats    Stats
}

// route is the last known place of a partition and its topic's identity.
type route struct {
	id [16]byte
	at leader
}

// Stats are a Reader's counters since it was made.
type Stats struct {
	Fetches    int64 // requests answered
	Refreshes  int64 // requests for leaders
	Bytes      int64 // of record batches received
	Lost       int64 // offsets skipped under SkipLost
	Prefetched int64 // ranges that began from a prefetched chunk
	Leftovers  int64 // ranges that began from what the previous one had left over
}

// New makes a Reader. It connects when the first range is wanted.
func New(o Options) (*Reader, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Reader{
		opts:    o,
		dec:     newDecompressor(o.MaxBatchBytes),
		routing: make(chan struct{}, 1),
		leaders: make(map[partitionKey]route),
		links:   make(map[int32]*link),
		sizes:   make(map[partitionKey]sizes),
		read:    make(map[partitionKey]int64),
		buffer:  newBuffer(o.BufferBytes),
	}
	for range o.Connections {
		cl, err := o.client()
		if err != nil {
			for _, cl := range r.clients {
				cl.Close()
			}
			return nil, fmt.Errorf("kafka: making a client: %w", err)
		}
		r.clients = append(r.clients, cl)
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.wg.Go(r.runRouter)
	return r, nil
}

// Close ends all reads with ErrClosed and waits for the Reader's goroutines.
func (r *Reader) Close() {
	r.mu.Lock() // want starts goroutines under mu unless ctx has ended
	r.cancel()
	r.mu.Unlock()
	r.wg.Wait()
	for _, cl := range r.clients {
		cl.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buffer = newBuffer(0)
}

// Stats returns the counters.
func (r *Reader) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// Read yields the range's records in offset order. The Record is reused for the
// next one; its Key and Value are not and stay valid, but each keeps the whole
// response that it came in alive. An error is the last thing yielded; its Record
// is nil. While a chunk is walked, the next one is on its way.
//
// Read waits as long as the brokers are gone, and ends then only with ctx.
func (r *Reader) Read(ctx context.Context, rg Range) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if rg.From < 0 || rg.Partition < 0 || rg.Topic == "" {
			yield(nil, fmt.Errorf("kafka: topic %q partition %d can't be read from offset %d: a topic has a name, and its partitions and offsets begin at 0", rg.Topic, rg.Partition, rg.From))
			return
		}
		if rg.From >= rg.Until {
			return
		}
		s := r.open(rg)
		defer r.release(s)
		rec := &Record{Topic: rg.Topic, Partition: rg.Partition}
		for {
			c, ok, err := r.nextChunk(ctx, s)
			if err != nil {
				yield(nil, err)
				return
			}
			if !ok {
				return
			}
			more, err := c.walk(rec, rg.From, rg.Until, yield)
			if err != nil {
				yield(nil, err)
				return
			}
			if !more {
				return
			}
			if len(c.batches) > 0 { // what is left begins at Until or reaches past it
				r.keep(s, c)
				return
			}
		}
	}
}

// Prefetch begins to fetch ranges that will be read soon, one chunk of each, with
// one request to each broker. It does not wait. A range is prefetched only if the
// one right before it was read here: of a cluster's Readers, that is the one whose
// task will probably read it, and what was left over is not fetched again. Ranges
// for which Options.BufferBytes leaves no room are not prefetched, and one that
// nobody reads is dropped in time.
func (r *Reader) Prefetch(ranges ...Range) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return
	}
	now := time.Now()
	for _, rg := range ranges {
		if rg.From < 0 || rg.Partition < 0 || rg.Topic == "" || rg.From >= rg.Until || r.buffer.has(rg) {
			continue
		}
		if until, ok := r.read[partitionKey{rg.Topic, rg.Partition}]; !ok || until != rg.From {
			continue
		}
		s := newStream(rg)
		r.resume(s)
		s.opened, s.cost = now, int64(r.sizes[s.key()].estimate(s, r.opts.PartitionBytes))
		for _, c := range s.ready {
			s.cost += c.cost
		}
		if r.buffer.admit(s) {
			r.want(s)
		}
	}
}

// open takes the range's prefetched stream, or begins one.
func (r *Reader) open(rg Range) *stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.buffer.claim(rg)
	if s == nil {
		s = newStream(rg)
		r.resume(s)
	} else {
		r.stats.Prefetched++
	}
	r.want(s)
	return s
}

// resume lets a stream begin with what the range before it had left over.
func (r *Reader) resume(s *stream) {
	if c, ok := r.buffer.leftover(s.rg); ok {
		s.ready = append(s.ready, c)
		s.next = min(c.next, s.rg.Until)
		r.stats.Leftovers++
	}
}

// release ends the reader's interest in a stream.
func (r *Reader) release(s *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.closed, s.ready = true, nil
	r.read[s.key()] = s.rg.Until
	r.waiting.leave(s)
}

// keep remembers what a stream's last chunk holds past its range.
func (r *Reader) keep(s *stream, c chunk) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buffer.keep(s, c)
}

// nextChunk waits for the stream's next chunk. ok is false at the range's end.
func (r *Reader) nextChunk(ctx context.Context, s *stream) (c chunk, ok bool, err error) {
	for {
		r.mu.Lock()
		switch {
		case len(s.ready) > 0:
			c = s.ready[0]
			s.ready = append(s.ready[:0], s.ready[1:]...)
			r.want(s)
			r.mu.Unlock()
			return c, true, nil
		case s.err != nil:
			err = s.err
			r.mu.Unlock()
			return chunk{}, false, err
		case s.next >= s.rg.Until:
			r.mu.Unlock()
			return chunk{}, false, nil
		}
		r.mu.Unlock()
		select {
		case <-s.wake:
		case <-ctx.Done():
			return chunk{}, false, fmt.Errorf("reading %v: %w", s.rg, context.Cause(ctx))
		case <-r.ctx.Done():
			return chunk{}, false, fmt.Errorf("reading %v: %w", s.rg, ErrClosed)
		}
	}
}
