package ranges

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// stream is one range on its way from the broker to its reader. All fields but
// wake belong to Reader.mu.
//
// Invariant: From <= next, and while next < Until and err == nil and the stream
// is not closed, it is in exactly one of these places if inflight is set: a
// link's pending list, a request, or the router's list.
type stream struct {
	rg    Range
	id    [16]byte // the topic's, rg.TopicID unless that is zero
	wake  chan struct{}
	next  int64 // the offset to fetch next
	ready []chunk
	err   error

	inflight bool
	closed   bool // nobody reads on
	alone    bool // ask for it in a request of its own: an empty answer proves a gap
	wants    int  // size of a batch that was cut off
	cuts     int  // times in a row that happened

	at         leader    // where the next fetch goes
	tries      int       // attempts without progress
	retryAt    time.Time // when to try again
	doubtSince time.Time // when a broker first said the topic or partition is gone or too short
	shortSince time.Time // when the log's end was first seen before Until
	waiting    bool      // counted in Reader.waiting

	opened time.Time // of a prefetched stream
	cost   int64     // bytes that a prefetched stream takes of BufferBytes
}

// chunk is what one response holds of one stream.
type chunk struct {
	walker
	next int64 // offset after the last batch
	cost int64 // bytes of the response that it keeps alive
}

func newStream(rg Range) *stream {
	return &stream{rg: rg, id: rg.TopicID, next: rg.From, wake: make(chan struct{}, 1)}
}

func (s *stream) key() partitionKey { return partitionKey{s.rg.Topic, s.rg.Partition} }

// attrs names the stream in the log; a Planner's stands for all of its topics.
func (s *stream) attrs() []any {
	if s.rg.Until == 0 {
		return []any{"for", "the plan of " + s.rg.Topic}
	}
	return []any{"for", s.rg.String(), "next", s.next}
}

// signal tells the reader that something changed. It may have told it already.
func (s *stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
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

// sizes are a partition's last sizes; they tell how much to ask for.
type sizes struct {
	perOffset float64
	largest   int // batch
}

// estimate is how many bytes the rest of the stream takes, limit if unknown.
func (z sizes) estimate(s *stream, limit int32) int32 {
	if s.wants > 0 {
		return int32(s.wants)
	}
	if z.largest == 0 {
		return limit
	}
	want := float64(s.rg.Until-s.next)*z.perOffset*1.05 + float64(z.largest)
	return int32(min(want, float64(limit)))
}

func (z sizes) learned(sc scanned, offsets int64) sizes {
	z.perOffset = float64(sc.bytes) / float64(max(1, offsets))
	z.largest = max(sc.largest, z.largest-z.largest/8)
	return z
}

// maxResponse bounds a response, unless its first batch is larger.
const maxResponse = 96 << 20

// fetchRequest asks one broker for streams, all of whose partitions differ. The
// broker answers at once, data or not: all that was planned is there already.
//
// What bounds the response are the partitions' limits. The request's own must
// never be what cuts a partition short: kfake leaves the aborted transactions out
// of the answer then, and their records would show.
func fetchRequest(streams []*stream, estimates []int32, o *Options) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.SessionEpoch = -1, -1
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 0, 0, maxResponse
	if !o.ReadUncommitted {
		req.IsolationLevel = 1
	}
	for i, s := range streams {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.CurrentLeaderEpoch = s.rg.Partition, s.next, s.at.epoch
		p.PartitionMaxBytes = max(1, estimates[i])
		if n := len(req.Topics); n == 0 || req.Topics[n-1].TopicID != s.id || req.Topics[n-1].Topic != s.rg.Topic {
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = s.rg.Topic, s.id
			req.Topics = append(req.Topics, t)
		}
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	return req
}
