package ranges

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetcher sends a link's requests over one client's connection, one at a time, and
// delivers what comes.
//
// THREADING: run is its goroutine, which alone uses it. It is the holder of the
// streams in its request; the rest it shares has locks of its own, of which it
// holds none.
type fetcher struct {
	opts    *Options
	link    *link
	cl      *kgo.Client
	router  *router
	outage  *outage
	history *history
	buffer  *buffer
	counts  *counters
	dec     *decompressor
}

// run fetches until ctx ends.
func (f *fetcher) run(ctx context.Context) {
	for {
		streams, asked, gone := f.link.take(f.history, f.opts)
		for _, s := range gone {
			f.outage.leave(s)
		}
		if len(streams) == 0 {
			select {
			case <-f.link.wake:
			case <-ctx.Done():
				return
			}
			continue
		}
		res, err := f.cl.Broker(int(f.link.node)).Request(ctx, fetchRequest(streams, asked, f.opts))
		if err == nil {
			err = kerr.ErrorForCode(res.(*kmsg.FetchResponse).ErrorCode)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			f.unreachable(ctx, streams, err)
		default:
			f.deliver(ctx, streams, res.(*kmsg.FetchResponse))
		}
	}
}

// unreachable sends streams back to the router. The client that failed asks for
// the brokers anew, as theirs may have other addresses now.
func (f *fetcher) unreachable(ctx context.Context, streams []*stream, err error) {
	err = fmt.Errorf("fetching from broker %d: %w", f.link.node, Unreachable(f.link.node, err))
	for _, s := range streams {
		f.router.retryElsewhere(s, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, _ = describe(ctx, f.cl, nil) // the next fetch meets the error again
}

// deliver hands a response's chunks to its streams.
func (f *fetcher) deliver(ctx context.Context, streams []*stream, resp *kmsg.FetchResponse) {
	parts, total := answers(streams, resp)
	f.counts.fetches.Add(1)
	f.counts.bytes.Add(int64(total))
	var onward, outside []*stream
	for i, s := range streams {
		p := parts[i]
		switch {
		case p == nil: // a throttled answer leaves partitions out
			f.router.retry(s, errors.New("the broker left the partition out of its answer"))
		case s.isClosed():
			f.outage.leave(s)
		case errors.Is(kerr.ErrorForCode(p.ErrorCode), kerr.OffsetOutOfRange):
			outside = append(outside, s)
		case f.accept(s, p, total):
			onward = append(onward, s)
		}
	}
	f.router.route(onward)
	for _, s := range outside {
		f.outOfRange(ctx, s)
	}
	f.router.wantAhead()
}

// accept hands one partition's part of a response to its stream, and reports
// whether this goes on with another chunk.
func (f *fetcher) accept(s *stream, p *kmsg.FetchResponseTopicPartition, total int) (goesOn bool) {
	err := kerr.ErrorForCode(p.ErrorCode)
	switch {
	case err == nil && len(p.RecordBatches) > 0:
		return f.acceptBatches(s, p, total)
	case err == nil:
		f.acceptNothing(s, p, total)
	case errors.Is(err, kerr.CorruptMessage):
		f.router.doubt(s, &CorruptError{Topic: s.rg.Topic, Partition: s.rg.Partition, Offset: s.next, Reason: "the broker cannot read its log", Err: err})
	case isFatal(err):
		f.router.fail(s, f.router.topicError(s, err))
	default: // not the leader, an older or newer epoch, another topic id: ask anew
		f.router.elsewhere(s, err)
	}
	return false
}

// acceptBatches moves a stream on by the whole batches of a response.
func (f *fetcher) acceptBatches(s *stream, p *kmsg.FetchResponseTopicPartition, total int) (goesOn bool) {
	sc, at, reason := scan(p.RecordBatches, f.opts.MaxBatchBytes)
	if sc.bytes > 0 && sc.next <= s.next {
		at, reason, sc.bytes = sc.next-1, fmt.Sprintf("the broker sent only batches before offset %d", s.next), 0
	}
	if sc.bytes == 0 && reason == "" { // not one whole batch: ask for more
		if s.wants, s.cuts = max(sc.wants, batchHeader), s.cuts+1; s.cuts <= 8 {
			f.link.add(s)
			return false
		}
		at, reason = s.next, "the broker does not send the whole batch"
	}
	if sc.bytes == 0 {
		after, records := tooLarge(p.RecordBatches, f.opts.MaxBatchBytes)
		f.router.fail(s, &CorruptError{Topic: s.rg.Topic, Partition: s.rg.Partition, Offset: at, Reason: reason, After: after, Records: records})
		return false
	}
	// If there is something corrupt behind the whole batches, the next fetch
	// begins with it, unless the range ends before.
	f.history.learn(s.key(), sc, s.next, f.end(p))
	c := newChunk(p, s.at.epoch, total, sc, f.opts, f.dec)
	goesOn = f.buffer.deliver(s, c)
	f.outage.over(s)
	return goesOn
}

// end returns up to which offset a partition can be read.
func (f *fetcher) end(p *kmsg.FetchResponseTopicPartition) int64 {
	if !f.opts.ReadUncommitted && p.LastStableOffset >= 0 {
		return p.LastStableOffset
	}
	return p.HighWatermark
}

// acceptNothing decides what an empty answer means.
func (f *fetcher) acceptNothing(s *stream, p *kmsg.FetchResponseTopicPartition, total int) {
	end := f.end(p)
	switch {
	case end >= s.rg.Until && total == 0:
		// No limit cut anything off and the log is readable past Until: what
		// is left of the range are gaps.
		s.move(s.rg.Until)
		f.outage.over(s)
	case end >= s.rg.Until: // others may have used up the response
		s.alone = true
		f.link.add(s)
	default:
		now := time.Now()
		if s.shortSince.IsZero() {
			s.shortSince = now
		}
		if now.Sub(s.shortSince) >= f.opts.EndTimeout {
			f.router.fail(s, &EndError{Topic: s.rg.Topic, Partition: s.rg.Partition, Next: s.next, Until: s.rg.Until, End: end})
			return
		}
		f.router.retryElsewhere(s, errEndBefore)
	}
}

var errEndBefore = errors.New("the log ends before the range does")

// outOfRange finds out at which end of the log an offset is missing.
func (f *fetcher) outOfRange(ctx context.Context, s *stream) {
	key := s.key()
	query := func(ctx context.Context, timestamp int64) (int64, error) {
		q := offsetQuery{key.topic, key.partition, s.at.epoch, timestamp}
		answers, err := listOffsets(ctx, f.cl, f.link.node, f.opts.ReadUncommitted, []offsetQuery{q})
		if err == nil {
			err = answers[key].err
		}
		return answers[key].offset, err
	}
	bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	start, err := query(bounded, atStart)
	var end int64
	if err == nil {
		end, err = query(bounded, atEnd)
	}
	switch {
	case s.isClosed() || ctx.Err() != nil:
		f.outage.leave(s)
	case err != nil:
		f.router.retryElsewhere(s, fmt.Errorf("asking where the log begins: %w", err))
	case s.next < start:
		f.router.fail(s, &LostError{Topic: key.topic, Partition: key.partition, Next: s.next, Start: start})
	case s.next > end:
		f.router.doubt(s, &EndError{Topic: key.topic, Partition: key.partition, Next: s.next, Until: s.rg.Until, End: end})
	default: // the log has changed meanwhile
		f.router.retry(s, kerr.OffsetOutOfRange)
	}
}
