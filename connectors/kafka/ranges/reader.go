package ranges

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Reader reads ranges. One serves a whole executor process: its Read may be
// called by many task slots at once. It has its own connections, so that no
// fetch waits behind a consumer's long poll.
//
// THREADING: Read runs in its caller and walks chunks. The router's goroutine asks
// for leaders and hands each stream that wants more to its leader's link. Every
// link has Options.Connections fetchers, each with a goroutine and a connection of
// its own, which takes the link's streams, sends one request for all of them and
// delivers their chunks. Close ends and awaits them all. The Reader itself doesn't
// change: what its goroutines share are streams, links, routes, the lobby, history,
// buffer and outage, each with a lock of its own that is never held during I/O. A
// stream's is always the last one taken.
type Reader struct {
	opts    Options
	clients []*kgo.Client
	ctx     context.Context // ends when the Reader is closed
	cancel  context.CancelFunc
	routing sync.WaitGroup // the router's goroutine
	dec     *decompressor

	links   *links
	router  *router
	outage  *outage
	history *history
	buffer  *buffer
	counts  counters
}

// New makes a Reader. It connects when the first range is wanted.
func New(o Options) (*Reader, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Reader{opts: o, outage: &outage{log: o.Logger}, history: newHistory(), buffer: newBuffer(o.BufferBytes)}
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
	r.dec = newDecompressor(o.MaxBatchBytes)
	r.links = newLinks(o.Connections, func(l *link, connection int) {
		f := fetcher{
			opts: &r.opts, link: l, cl: r.clients[connection], router: r.router, outage: r.outage,
			history: r.history, buffer: r.buffer, counts: &r.counts, dec: r.dec,
		}
		f.run(r.ctx)
	})
	r.router = newRouter(&r.opts, r.clients[0], r.links, r.outage, r.history, r.buffer, &r.counts)
	r.routing.Go(func() { r.router.run(r.ctx) })
	return r, nil
}

// Close ends all reads with ErrClosed and waits for the Reader's goroutines.
func (r *Reader) Close() {
	r.cancel()
	r.links.close()
	r.routing.Wait()
	for _, cl := range r.clients {
		cl.Close()
	}
	r.buffer.close()
}

// Stats returns the counters.
func (r *Reader) Stats() Stats { return r.counts.stats() }

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
		rec, rest, inTurn := &Record{Topic: rg.Topic, Partition: rg.Partition}, rg, r.history.goesOn(rg)
		r.history.forget(rg)
		defer func() { r.ended(rg, inTurn && rest.From == rest.Until) }()
		for rest.From < rest.Until {
			if !r.readStream(ctx, rec, &rest, yield) {
				return
			}
		}
	}
}

// readStream yields the records of a range as far as one stream goes, and moves the range's beginning
// along. It returns false if yield did, or got an error. A stream ahead may end before the range does, or be of
// an earlier leader than that by which the range was planned; another one goes on.
func (r *Reader) readStream(ctx context.Context, rec *Record, rg *Range, yield func(*Record, error) bool) (goesOn bool) {
	s := r.open(*rg)
	defer r.release(s, rg)
	for {
		c, ok, err := r.nextChunk(ctx, s)
		if err != nil {
			yield(nil, err)
			return false
		}
		if !ok || s.ahead && c.epoch < rg.LeaderEpoch {
			if !s.ahead {
				rg.From = rg.Until
			}
			return true
		}
		more, err := c.walk(rec, rg.From, rg.Until, yield)
		if err != nil {
			yield(nil, err)
			return false
		}
		if !more {
			return false
		}
		rg.From = min(c.next, rg.Until)
		if len(c.batches) > 0 { // what is left begins at Until or reaches past it
			rg.From = rg.Until
			if s.ahead {
				s.yieldBack(c)
			} else {
				r.buffer.keep(s.key(), s.id, rg.Until, c)
			}
		}
		if rg.From == rg.Until {
			return true
		}
	}
}

// Prefetch begins to fetch ranges that will be read soon, in the order in which they will be:
// short ones with one request to each broker, long ones from a few partitions at a time, the
// first as far as they go or Options.BufferBytes leaves room, the others as that is read. It
// does not wait. A range is prefetched only if the
// one right before it was read here, or as soon as it has been: of a cluster's
// Readers, that is the one whose task will probably read it, and what was left over
// is not fetched again. A Reader that is alone ([Options]) prefetches the first of a partition, too.
// The caller forgets what isn't read ([Reader.Forget]): else it takes up room until Close.
func (r *Reader) Prefetch(ranges ...Range) {
	for _, rg := range ranges {
		if rg.From < 0 || rg.Partition < 0 || rg.Topic == "" || rg.From >= rg.Until || r.ctx.Err() != nil {
			continue
		}
		if r.history.follows(rg, r.opts.Alone) {
			r.admit(rg)
		}
	}
	r.router.wantAhead()
}

// Forget drops what is prefetched of ranges: they were read elsewhere, or nobody reads them.
func (r *Reader) Forget(ranges ...Range) {
	dropped := false
	for _, rg := range ranges {
		r.history.forget(rg)
		if s := r.buffer.forget(rg); s != nil {
			r.outage.leave(s)
			dropped = true
		}
	}
	if dropped {
		r.router.wantAhead()
	}
}

// admit makes the stream of a range that is to be prefetched.
func (r *Reader) admit(rg Range) {
	if r.buffer.has(rg) {
		return
	}
	s := r.begin(rg)
	s.early = true
	r.buffer.admit(s)
}

// offer keeps what was read of a partition beside Read, in a response of so many bytes, for a
// range that begins where rg does or for those before and behind it. It reports whether all until
// rg's end is kept.
func (r *Reader) offer(rg Range, p *kmsg.FetchResponseTopicPartition, total int) (whole bool) {
	sc, _, _ := scan(p.RecordBatches, r.opts.MaxBatchBytes)
	if sc.bytes == 0 || sc.next <= rg.From { // what is wrong is found when it is fetched
		return false
	}
	key, c := partitionKey{rg.Topic, rg.Partition}, newChunk(p, rg.LeaderEpoch, total, sc, &r.opts, r.dec)
	from, ok := r.buffer.begins(key)
	first := ok && from < rg.From && !r.history.passed(key, from) // what is there will be read first
	kept := first && r.buffer.extend(key, rg.TopicID, rg.From, c) || !first && r.buffer.keep(key, rg.TopicID, rg.From, c)
	return kept && sc.next >= rg.Until
}

// open takes the range's prefetched stream, or begins one.
func (r *Reader) open(rg Range) *stream {
	s := r.buffer.claim(rg)
	if s == nil {
		s = r.begin(rg)
	} else if s.holds() {
		r.counts.prefetched.Add(1)
	}
	r.router.want(s)
	r.router.lobby.hurry(s) // it may be there since it couldn't be prefetched
	r.router.wantAhead()
	return s
}

// begin makes a stream, which begins with what the range before had left over.
func (r *Reader) begin(rg Range) *stream {
	s := newStream(rg)
	if cs := r.buffer.leftover(rg); len(cs) > 0 {
		s.resume(cs)
		r.counts.leftovers.Add(1)
	}
	return s
}

// release ends the reader's interest in a stream. One that is ahead is kept for the next range if this one was
// read to its end.
func (r *Reader) release(s *stream, rg *Range) {
	if s.ahead && rg.From == rg.Until && r.buffer.park(s, rg.Until, &r.opts) {
		return
	}
	r.buffer.release(s)
	r.outage.leave(s)
}

// ended begins to prefetch the range behind one that was read, if that was asked for meanwhile, or to read its
// partition ahead: whole says that all of the range was read, right after the one before it.
func (r *Reader) ended(rg Range, whole bool) {
	next, expected := r.history.ended(rg)
	if !(whole && r.goOn(rg)) && expected {
		r.admit(next)
	}
	r.router.wantAhead()
}

// goOn begins to read a partition ahead behind a range, unless it is. It reports whether that makes sense: there
// is as much behind the range as one request asks for, room for it, and nobody else who may read it.
func (r *Reader) goOn(rg Range) bool {
	ahead := rg
	ahead.From = rg.Until
	end, bytes := r.history.behind(rg)
	switch {
	case r.buffer.has(ahead):
		return true
	case !r.opts.Alone || bytes < int64(r.opts.PartitionBytes) || !r.buffer.reserve(&r.opts):
		return false
	}
	ahead.Until = end
	s := r.begin(ahead)
	s.ahead = true
	if !r.buffer.park(s, ahead.From, &r.opts) {
		r.buffer.release(s)
	}
	return true
}

// nextChunk waits for the stream's next chunk. ok is false at the range's end.
func (r *Reader) nextChunk(ctx context.Context, s *stream) (c chunk, ok bool, err error) {
	for {
		c, ok, isOver, err := s.take()
		switch {
		case ok:
			r.router.want(s)
			if r.buffer.taken(s, c.cost()) {
				r.router.wantAhead()
			}
			return c, true, nil
		case isOver && s.ahead:
			return chunk{}, false, nil
		case isOver:
			return chunk{}, false, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return chunk{}, false, fmt.Errorf("reading %v: %w", s.rg, context.Cause(ctx))
		case <-r.ctx.Done():
			return chunk{}, false, fmt.Errorf("reading %v: %w", s.rg, ErrClosed)
		}
	}
}
