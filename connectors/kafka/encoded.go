package kafka

import (
	"bytes"
	"fmt"
	"slices"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/engine"
)

// rangesFormat is the version of the ranges' encoding in an allocation.
const rangesFormat = 1

// encodedRanges is how ranges lie in an allocation.
type encodedRanges struct {
	Format int            `msgpack:"v"`
	Topics []encodedTopic `msgpack:"t"`
	Sparse bool           `msgpack:"s,omitempty"` // empty ranges make no partitions
}

type encodedTopic struct {
	Name   string     `msgpack:"n"`
	ID     [16]byte   `msgpack:"id"`
	Ranges [][4]int64 `msgpack:"r"` // partition, leader epoch, from, until
}

// encodeRanges writes ranges, which are ordered by topic.
func encodeRanges(rs []ranges.Range, sparse bool) ([]byte, error) {
	e := encodedRanges{Format: rangesFormat, Sparse: sparse}
	for _, r := range rs {
		if n := len(e.Topics); n == 0 || e.Topics[n-1].Name != r.Topic {
			e.Topics = append(e.Topics, encodedTopic{Name: r.Topic, ID: r.TopicID})
		}
		t := &e.Topics[len(e.Topics)-1]
		t.Ranges = append(t.Ranges, [4]int64{int64(r.Partition), int64(r.LeaderEpoch), r.From, r.Until})
	}
	b, err := msgpack.Marshal(&e)
	if err != nil {
		return nil, fmt.Errorf("encoding offset ranges: %w", err)
	}
	return b, nil
}

// decodeRanges returns all the ranges that encodeRanges wrote.
func decodeRanges(b []byte) ([]ranges.Range, error) {
	d, err := decodePlan(b)
	return d.all, err
}

// decoded are the ranges of a batch. Nobody changes them.
type decoded struct {
	all        []ranges.Range
	partitions []ranges.Range // those that are partitions of the batch: one at least, if there is any
}

// decodePlan reads what encodeRanges wrote; nothing is no ranges.
func decodePlan(b []byte) (decoded, error) {
	if len(b) == 0 {
		return decoded{}, nil
	}
	var e encodedRanges
	if err := msgpack.Unmarshal(b, &e); err != nil {
		return decoded{}, fmt.Errorf("%w: offset ranges: %w", engine.ErrCorruptLog, err)
	}
	if e.Format != rangesFormat {
		return decoded{}, fmt.Errorf("%w: offset ranges of format %d, this program knows %d", engine.ErrFormat, e.Format, rangesFormat)
	}
	var all []ranges.Range
	for _, t := range e.Topics {
		for _, r := range t.Ranges {
			all = append(all, ranges.Range{Topic: t.Name, TopicID: t.ID, Partition: int32(r[0]), LeaderEpoch: int32(r[1]), From: r[2], Until: r[3]})
		}
	}
	return decodedOf(all, e.Sparse), nil
}

// decodedOf returns what ranges are once they were encoded and decoded.
func decodedOf(all []ranges.Range, sparse bool) decoded {
	if !sparse || len(all) == 0 {
		return decoded{all, all}
	}
	full := slices.DeleteFunc(slices.Clone(all), func(r ranges.Range) bool { return r.Len() == 0 })
	if len(full) == 0 {
		full = all[:1]
	}
	return decoded{all, full}
}

// codec encodes and decodes the ranges of a stream's batches. It keeps those that were encoded or
// decoded last, which are mostly asked for again: to prefetch a batch, to generate it, and to plan
// the next. It is safe for concurrent use.
type codec struct {
	mu      sync.Mutex
	encoded []byte // nil before the first
	newest  decoded
}

// encode is encodeRanges. Nobody changes the ranges afterwards.
func (c *codec) encode(rs []ranges.Range, sparse bool) ([]byte, error) {
	b, err := encodeRanges(rs, sparse)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.encoded, c.newest = b, decodedOf(rs, sparse)
	return b, nil
}

// decode is decodePlan.
func (c *codec) decode(b []byte) (decoded, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes.Equal(b, c.encoded) {
		return c.newest, nil
	}
	plan, err := decodePlan(b)
	if err == nil {
		c.encoded, c.newest = b, plan
	}
	return plan, err
}
