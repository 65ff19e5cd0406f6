package ranges

import (
	"encoding/binary"
	"iter"
	"slices"
)

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

// headers checks that the headers at b[at:] are whole, so that iterating over
// them cannot fail, and that nothing comes after them.
func headers(b []byte, at int) (encoded []byte, n int, ok bool) {
	count, at := longVarint(b, at)
	if at < 0 || count < 0 || count > int64(len(b)-at)/2 { // a header takes two bytes at least
		return nil, 0, false
	}
	encoded = b[at:]
	for range count {
		var key []byte
		if key, at, ok = field(b, at); !ok || key == nil { // a header's key is never null
			return nil, 0, false
		}
		if _, at, ok = field(b, at); !ok {
			return nil, 0, false
		}
	}
	return encoded, int(count), at == len(b)
}

// field splits off a length and as many bytes; a negative length is null. next
// is where the following field begins.
func field(b []byte, at int) (f []byte, next int, ok bool) {
	n, at, ok := short(b, at)
	if !ok {
		n, at = longVarint(b, at)
	}
	if at < 0 || n > int64(len(b)-at) {
		return nil, 0, false
	}
	if n < 0 {
		return nil, at, n == -1
	}
	next = at + int(n)
	return b[at:next:next], next, true
}

// short decodes a zigzag varint of one byte at b[at:], the usual case, and returns
// where it ends. ok is false if it has more or there is none: then longVarint
// decodes it, which is left to the caller so that this one inlines. at is returned
// as it was then.
func short(b []byte, at int) (v int64, next int, ok bool) {
	if uint(at) < uint(len(b)) && b[at] < 0x80 {
		return zigzag(uint32(b[at])), at + 1, true
	}
	return 0, at, false
}

// longVarint decodes a zigzag varint at b[at:] and returns where it ends, or -1
// when there is none. It may be called with the -1 of the one before.
func longVarint(b []byte, at int) (v int64, next int) {
	if at < 0 || at >= len(b) {
		return 0, -1
	}
	if rest := b[at:]; len(rest) > 2 && rest[0] >= 0x80 { // an offset in a batch of some size
		switch {
		case rest[1] < 0x80:
			return zigzag(uint32(rest[0]&0x7f) | uint32(rest[1])<<7), at + 2
		case rest[2] < 0x80:
			return zigzag(uint32(rest[0]&0x7f) | uint32(rest[1]&0x7f)<<7 | uint32(rest[2])<<14), at + 3
		}
	}
	v, n := binary.Varint(b[at:])
	if n <= 0 {
		return 0, -1
	}
	return v, at + n
}

func zigzag(u uint32) int64 { return int64(u>>1) ^ -int64(u&1) }
