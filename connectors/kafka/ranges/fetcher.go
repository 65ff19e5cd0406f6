package ranges

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// link is one broker's queue of streams that want their next chunk. pending
// belongs to Reader.mu.
type link struct {
	node    int32
	pending []*stream
	wake    chan struct{} // capacity: the number of fetchers
}

func (l *link) add(s *stream) {
	l.pending = append(l.pending, s)
	l.signal()
}

func (l *link) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// runFetcher sends the link's requests over one client's connection, one at a
// time.
func (r *Reader) runFetcher(l *link, cl *kgo.Client) {
	for {
		streams, req := r.take(l)
		if len(streams) == 0 {
			select {
			case <-l.wake:
			case <-r.ctx.Done():
				return
			}
			continue
		}
		res, err := cl.Broker(int(l.node)).Request(r.ctx, req)
		if err == nil {
			err = kerr.ErrorForCode(res.(*kmsg.FetchResponse).ErrorCode)
		}
		switch {
		case r.ctx.Err() != nil:
			return
		case err != nil:
			r.unreachable(l, cl, streams, err)
		default:
			r.deliver(l, cl, streams, res.(*kmsg.FetchResponse))
		}
	}
}

// take moves streams from the queue into a request, up to its size limit. No
// partition may be in a request twice, and a stream that must be alone is.
func (r *Reader) take(l *link) ([]*stream, *kmsg.FetchRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var streams []*stream
	var asked []int32
	var total int64
	kept := l.pending[:0]
	for i, s := range l.pending {
		if s.closed {
			continue
		}
		ask := r.sizes[s.key()].estimate(s, r.opts.PartitionBytes)
		twin := slices.ContainsFunc(streams, func(o *stream) bool { return o.key() == s.key() })
		if len(streams) > 0 && (s.alone || streams[0].alone || twin || total+int64(ask) > int64(r.opts.RequestBytes)) {
			if !twin {
				kept = append(kept, l.pending[i:]...)
				break
			}
			kept = append(kept, s)
			continue
		}
		streams, asked, total = append(streams, s), append(asked, ask), total+int64(ask)
	}
	clear(l.pending[len(kept):])
	l.pending = kept
	if len(kept) > 0 {
		l.signal()
	}
	if len(streams) == 0 {
		return nil, nil
	}
	return streams, fetchRequest(streams, asked, &r.opts)
}

// unreachable sends streams back to the router. The client that failed asks for
// the brokers anew, as theirs may have other addresses now.
func (r *Reader) unreachable(l *link, cl *kgo.Client, streams []*stream, err error) {
	err = fmt.Errorf("fetching from broker %d: %w", l.node, Unreachable(l.node, err))
	r.mu.Lock()
	for _, s := range streams {
		delete(r.leaders, s.key())
		r.retry(s, err)
	}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
	defer cancel()
	_, _ = describe(ctx, cl, nil) // the next fetch meets the error again
}

// deliver hands a response's chunks to its streams.
func (r *Reader) deliver(l *link, cl *kgo.Client, streams []*stream, resp *kmsg.FetchResponse) {
	total := 0
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			total += len(p.RecordBatches)
		}
	}
	var outside []*stream
	r.mu.Lock()
	r.stats.Fetches++
	r.stats.Bytes += int64(total)
	answered := make([]bool, len(streams))
	for ti := range resp.Topics {
		t := &resp.Topics[ti]
		for pi := range t.Partitions {
			p := &t.Partitions[pi]
			i := slices.IndexFunc(streams, func(s *stream) bool {
				return s.rg.Partition == p.Partition && (s.id == t.TopicID && s.id != [16]byte{} || s.rg.Topic == t.Topic)
			})
			if i < 0 || answered[i] {
				continue
			}
			answered[i] = true
			if r.accept(l, streams[i], p, total) {
				outside = append(outside, streams[i])
			}
		}
	}
	for i, s := range streams { // a throttled answer leaves partitions out
		if !answered[i] {
			r.retry(s, errors.New("the broker left the partition out of its answer"))
		}
	}
	r.mu.Unlock()
	for _, s := range outside {
		r.outOfRange(l, cl, s)
	}
}

// accept hands one partition's part of a response to its stream. It returns true
// when the offset is out of the log's range. mu is held.
func (r *Reader) accept(l *link, s *stream, p *kmsg.FetchResponseTopicPartition, total int) (outside bool) {
	if s.closed {
		return false
	}
	err := kerr.ErrorForCode(p.ErrorCode)
	switch {
	case err == nil && len(p.RecordBatches) > 0:
		r.acceptBatches(l, s, p)
	case err == nil:
		r.acceptNothing(l, s, p, total)
	case errors.Is(err, kerr.OffsetOutOfRange):
		return true
	case errors.Is(err, kerr.CorruptMessage):
		r.doubt(s, &CorruptError{Topic: s.rg.Topic, Partition: s.rg.Partition, Offset: s.next, Reason: "the broker cannot read its log", Err: err})
	case isFatal(err):
		r.fail(s, r.topicError(s, err))
	default: // not the leader, an older or newer epoch, another topic id: ask anew
		delete(r.leaders, s.key())
		if s.tries == 0 {
			s.tries++
			r.reroute(s, 0)
			return false
		}
		r.retry(s, err)
	}
	return false
}

// acceptBatches moves a stream on by the whole batches of a response. mu is held.
func (r *Reader) acceptBatches(l *link, s *stream, p *kmsg.FetchResponseTopicPartition) {
	sc, at, reason := scan(p.RecordBatches, r.opts.MaxBatchBytes)
	if sc.bytes > 0 && sc.next <= s.next {
		at, reason, sc.bytes = sc.next-1, fmt.Sprintf("the broker sent only batches before offset %d", s.next), 0
	}
	if sc.bytes == 0 && reason == "" { // not one whole batch: ask for more
		if s.wants, s.cuts = max(sc.wants, batchHeader), s.cuts+1; s.cuts <= 8 {
			l.add(s)
			return
		}
		at, reason = s.next, "the broker does not send the whole batch"
	}
	if sc.bytes == 0 {
		after, records := tooLarge(p.RecordBatches, r.opts.MaxBatchBytes)
		r.fail(s, &CorruptError{Topic: s.rg.Topic, Partition: s.rg.Partition, Offset: at, Reason: reason, After: after, Records: records})
		return
	}
	// If there is something corrupt behind the whole batches, the next fetch
	// begins with it, unless the range ends before.
	r.sizes[s.key()] = r.sizes[s.key()].learned(sc, sc.next-s.next)
	c := chunk{
		walker: newWalker(p.RecordBatches[:sc.bytes:sc.bytes], p.AbortedTransactions, r.opts.MaxBatchBytes, r.dec),
		next:   sc.next,
		cost:   int64(len(p.RecordBatches)),
	}
	s.ready, s.next, s.inflight = append(s.ready, c), sc.next, false
	r.waiting.over(r.opts.Logger, s)
	s.progress()
	if r.buffer.early[s.rg] == s {
		r.buffer.arrived(s, c.cost)
	} else {
		r.want(s)
	}
	s.signal()
}

// acceptNothing decides what an empty answer means. mu is held.
func (r *Reader) acceptNothing(l *link, s *stream, p *kmsg.FetchResponseTopicPartition, total int) {
	end := p.HighWatermark
	if !r.opts.ReadUncommitted && p.LastStableOffset >= 0 {
		end = p.LastStableOffset
	}
	switch {
	case end >= s.rg.Until && total == 0:
		// No limit cut anything off and the log is readable past Until: what
		// is left of the range are gaps.
		s.next, s.inflight = s.rg.Until, false
		r.waiting.over(r.opts.Logger, s)
		s.signal()
	case end >= s.rg.Until: // others may have used up the response
		s.alone = true
		l.add(s)
	default:
		now := time.Now()
		if s.shortSince.IsZero() {
			s.shortSince = now
		}
		if now.Sub(s.shortSince) >= r.opts.EndTimeout {
			r.fail(s, &EndError{Topic: s.rg.Topic, Partition: s.rg.Partition, Next: s.next, Until: s.rg.Until, End: end})
			return
		}
		delete(r.leaders, s.key())
		r.retry(s, errEndBefore)
	}
}

// outOfRange finds out at which end of the log an offset is missing.
func (r *Reader) outOfRange(l *link, cl *kgo.Client, s *stream) {
	key := s.key()
	ctx, cancel := context.WithTimeout(r.ctx, 10*time.Second)
	defer cancel()
	query := func(timestamp int64) (int64, error) {
		q := offsetQuery{key.topic, key.partition, s.at.epoch, timestamp}
		answers, err := listOffsets(ctx, cl, l.node, r.opts.ReadUncommitted, []offsetQuery{q})
		if err == nil {
			err = answers[key].err
		}
		return answers[key].offset, err
	}
	start, err := query(atStart)
	var end int64
	if err == nil {
		end, err = query(atEnd)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case s.closed || r.ctx.Err() != nil:
	case err != nil:
		delete(r.leaders, key)
		r.retry(s, fmt.Errorf("asking where the log begins: %w", err))
	case s.next < start && r.opts.Lost == FailLost:
		r.fail(s, &LostError{Topic: key.topic, Partition: key.partition, Next: s.next, Start: start})
	case s.next < start:
		to := min(start, s.rg.Until)
		r.opts.Logger.Warn("kafka: skipping records that are gone", "topic", key.topic, "partition", key.partition, "from", s.next, "until", to)
		r.stats.Lost += to - s.next
		s.next, s.inflight = to, false
		s.progress()
		r.want(s)
		s.signal()
	case s.next > end:
		r.doubt(s, &EndError{Topic: key.topic, Partition: key.partition, Next: s.next, Until: s.rg.Until, End: end})
	default: // the log has changed meanwhile
		r.retry(s, kerr.OffsetOutOfRange)
	}
}

// isFatal says that asking again does not help.
func isFatal(err error) bool {
	var ke *kerr.Error
	return errors.As(err, &ke) && !ke.Retriable
}

func (r *Reader) brokers() string { return strings.Join(r.opts.Brokers, ",") }
