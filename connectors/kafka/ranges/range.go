package ranges

import (
	"fmt"
	"iter"
	"slices"
)

// Range is the offsets [From, Until) of one partition. It is comparable: equal
// ranges read the same records.
type Range struct {
	Topic string
	// TopicID is the topic's identity when the range was planned. A topic that
	// was deleted and created again has another one, and its offsets mean other
	// records. Zero accepts whatever topic has the name.
	TopicID   [16]byte
	Partition int32
	// LeaderEpoch is the partition's leader epoch when the range was planned, or
	// -1. A reader that knows only an older one asks for the leader again.
	LeaderEpoch int32
	From, Until int64
}

// Len is the number of offsets in the range, an upper bound of its records.
func (r Range) Len() int64 { return max(0, r.Until-r.From) }

// String is "images/3 [100,250)".
func (r Range) String() string {
	return fmt.Sprintf("%s/%d [%d,%d)", r.Topic, r.Partition, r.From, r.Until)
}

// Record is one record where it lies in a fetch response.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	// Timestamp is in milliseconds since the Unix epoch: the producer's, or the
	// broker's where the topic says LogAppendTime. -1 means none.
	Timestamp int64
	// Key and Value are nil when null; a null value is a tombstone.
	Key, Value []byte

	headers []byte // as encoded, each already checked
	nheader int
}

// NumHeaders is the number of headers.
func (r *Record) NumHeaders() int { return r.nheader }

// Headers iterates over the headers in order. A null value is nil. The slices
// alias the record's buffer.
func (r *Record) Headers() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		b, at := r.headers, 0
		for range r.nheader {
			var key, value []byte
			key, at, _ = field(b, at)
			value, at, _ = field(b, at)
			if !yield(key, value) {
				return
			}
		}
	}
}

// Header returns the value of the last header named key, as later ones override
// earlier ones in Kafka's clients.
func (r *Record) Header(key string) (value []byte, ok bool) {
	for k, v := range r.Headers() {
		if string(k) == key {
			value, ok = v, true
		}
	}
	return value, ok
}

// Clone copies the record's bytes, so that it no longer keeps the response that
// it came in alive.
func (r *Record) Clone() Record {
	c := *r
	c.Key, c.Value, c.headers = slices.Clone(r.Key), slices.Clone(r.Value), slices.Clone(r.headers)
	return c
}
