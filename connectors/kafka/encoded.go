package kafka

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/connectors/kafka/ranges"
	"github.com/hibana-engine/hibana/engine"
)

// rangesFormat is the version of the ranges' encoding in an allocation.
const rangesFormat = 1

// encodedPlan is how ranges lie in an allocation: a map of v, the format, t, the topics, and s, if it
// is sparse. A topic is a map of n, its name, id, and r, the ranges, each of which is an array of its
// partition, leader epoch, from and until. Every batch has one, so it is encoded and decoded without
// reflection. What has another name is passed over.
type encodedPlan struct {
	format int64
	topics []encodedTopic
	sparse bool // empty ranges make no partitions
}

type encodedTopic struct {
	name   string
	id     [16]byte
	ranges [][4]int64
}

// EncodeMsgpack implements msgpack.CustomEncoder. The encoder's errors are those of what it writes
// to, which is memory.
func (p *encodedPlan) EncodeMsgpack(e *msgpack.Encoder) error {
	fields := 2
	if p.sparse {
		fields = 3
	}
	err := cmp.Or(e.EncodeMapLen(fields), e.EncodeString("v"), e.EncodeInt(p.format), e.EncodeString("t"), e.EncodeArrayLen(len(p.topics)))
	for i := range p.topics {
		err = cmp.Or(err, p.topics[i].encode(e))
	}
	if p.sparse {
		err = cmp.Or(err, e.EncodeString("s"), e.EncodeBool(true))
	}
	return err
}

func (t *encodedTopic) encode(e *msgpack.Encoder) error {
	err := cmp.Or(e.EncodeMapLen(3), e.EncodeString("n"), e.EncodeString(t.name), e.EncodeString("id"), e.EncodeBytes(t.id[:]),
		e.EncodeString("r"), e.EncodeArrayLen(len(t.ranges)))
	for _, r := range t.ranges {
		err = cmp.Or(err, e.EncodeArrayLen(len(r)), e.EncodeInt(r[0]), e.EncodeInt(r[1]), e.EncodeInt(r[2]), e.EncodeInt(r[3]))
	}
	return err
}

// DecodeMsgpack implements msgpack.CustomDecoder.
func (p *encodedPlan) DecodeMsgpack(d *msgpack.Decoder) error {
	return decodeMap(d, func(field string) (err error) {
		switch field {
		case "v":
			p.format, err = d.DecodeInt64()
		case "s":
			p.sparse, err = d.DecodeBool()
		case "t":
			err = decodeArray(d, func() error {
				p.topics = append(p.topics, encodedTopic{})
				return p.topics[len(p.topics)-1].decode(d)
			})
		default:
			err = d.Skip()
		}
		return err
	})
}

func (t *encodedTopic) decode(d *msgpack.Decoder) error {
	return decodeMap(d, func(field string) (err error) {
		switch field {
		case "n":
			t.name, err = d.DecodeString()
		case "id":
			var id []byte
			if id, err = d.DecodeBytes(); err == nil && copy(t.id[:], id) != len(id) {
				err = fmt.Errorf("a topic's id of %d bytes", len(id))
			}
		case "r":
			err = decodeArray(d, func() error {
				r, err := decodeNumbers(d)
				t.ranges = append(t.ranges, r)
				return err
			})
		default:
			err = d.Skip()
		}
		return err
	})
}

// decodeNumbers decodes the numbers of a range.
func decodeNumbers(d *msgpack.Decoder) (r [4]int64, err error) {
	n, err := d.DecodeArrayLen()
	if err == nil && n != len(r) {
		err = fmt.Errorf("a range of %d numbers", n)
	}
	for i := range r {
		if err == nil {
			r[i], err = d.DecodeInt64()
		}
	}
	return r, err
}

// decodeMap decodes a map, whose values field decodes. However many there are said to be, it ends
// with the bytes.
func decodeMap(d *msgpack.Decoder, field func(name string) error) error {
	n, err := d.DecodeMapLen()
	for range n {
		name := ""
		if name, err = d.DecodeString(); err == nil {
			err = field(name)
		}
		if err != nil {
			break
		}
	}
	return err
}

// decodeArray decodes an array, as decodeMap does a map.
func decodeArray(d *msgpack.Decoder, element func() error) error {
	n, err := d.DecodeArrayLen()
	for range n {
		if err = element(); err != nil {
			break
		}
	}
	return err
}

// encodeRanges writes ranges, which are ordered by topic.
func encodeRanges(rs []ranges.Range, sparse bool) ([]byte, error) {
	e := encodedPlan{format: rangesFormat, sparse: sparse}
	for _, r := range rs {
		if n := len(e.topics); n == 0 || e.topics[n-1].name != r.Topic {
			e.topics = append(e.topics, encodedTopic{name: r.Topic, id: r.TopicID})
		}
		t := &e.topics[len(e.topics)-1]
		t.ranges = append(t.ranges, [4]int64{int64(r.Partition), int64(r.LeaderEpoch), r.From, r.Until})
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
	var e encodedPlan
	if err := msgpack.Unmarshal(b, &e); err != nil {
		return decoded{}, fmt.Errorf("%w: offset ranges: %w", engine.ErrCorruptLog, err)
	}
	if e.format != rangesFormat {
		return decoded{}, fmt.Errorf("%w: offset ranges of format %d, this program knows %d", engine.ErrFormat, e.format, rangesFormat)
	}
	var all []ranges.Range
	for _, t := range e.topics {
		for _, r := range t.ranges {
			all = append(all, ranges.Range{Topic: t.name, TopicID: t.id, Partition: int32(r[0]), LeaderEpoch: int32(r[1]), From: r[2], Until: r[3]})
		}
	}
	return decodedOf(all, e.sparse), nil
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
