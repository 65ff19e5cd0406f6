package ranges

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A record batch of version 2 (Kafka 0.11 and later; KIP-98) begins with
//
//	 0 base offset int64       27 first timestamp int64
//	 8 length int32 (from 12)  35 largest timestamp int64
//	12 leader epoch int32      43 producer id int64
//	16 version int8 (2)        51 producer epoch int16
//	17 CRC-32C uint32 (from 21) 53 first sequence int32
//	21 attributes int16        57 number of records int32
//	23 last offset delta int32 61 records
const (
	batchPrefix = 17 // bytes up to and with the version, the same in all versions
	batchHeader = 61

	attrCodec         = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
)

// batch is a parsed header. records aliases what was parsed.
type batch struct {
	base, last         int64 // first and last offset, also when compaction took the records
	firstTime, maxTime int64
	producer           int64
	attrs              uint16
	count              int32
	size               int // bytes, header included
	records            []byte
}

// batchSize returns the size of the batch that b begins with, which may be more
// than len(b): responses are cut at their size limit. ok is false when b is too
// short to tell.
func batchSize(b []byte, limit int) (size int, ok bool, reason string) {
	if len(b) < batchPrefix {
		return 0, false, ""
	}
	n := int32(binary.BigEndian.Uint32(b[8:]))
	switch v := b[16]; {
	case v == 0 || v == 1:
		return 0, false, fmt.Sprintf("message format %d of before Kafka 0.11, which is not supported; rewrite the topic with a newer producer", v)
	case v != 2:
		return 0, false, fmt.Sprintf("batch version %d is unknown", v)
	case n < batchHeader-12:
		return 0, false, fmt.Sprintf("batch length %d is too small", n)
	case int(n) > limit-12:
		return 0, false, fmt.Sprintf("batch length %d is over the limit of %d", n, limit)
	}
	return int(n) + 12, true, ""
}

// header parses the header of a whole batch without verifying its checksum.
func header(b []byte) (h batch, reason string) {
	h = batch{
		base:      int64(binary.BigEndian.Uint64(b)),
		attrs:     binary.BigEndian.Uint16(b[21:]),
		firstTime: int64(binary.BigEndian.Uint64(b[27:])),
		maxTime:   int64(binary.BigEndian.Uint64(b[35:])),
		producer:  int64(binary.BigEndian.Uint64(b[43:])),
		count:     int32(binary.BigEndian.Uint32(b[57:])),
		size:      len(b),
		records:   b[batchHeader:],
	}
	delta := int32(binary.BigEndian.Uint32(b[23:]))
	h.last = h.base + int64(delta)
	switch {
	case h.base < 0 || delta < 0:
		return h, fmt.Sprintf("batch with offsets %d and %d more", h.base, delta)
	case h.count < 0 || int64(h.count) > int64(delta)+1:
		return h, fmt.Sprintf("batch of %d offsets says it holds %d records", int64(delta)+1, h.count)
	}
	return h, ""
}

// scan finds out what a response holds: the offset after the last whole batch,
// the bytes of the whole batches, the largest one, and how large the first is if
// it was cut off. It looks at headers only.
func scan(b []byte, limit int) (s scanned, at int64, reason string) {
	s.next = -1
	for rest := b; ; rest = rest[s.last:] {
		n, ok, reason := batchSize(rest, limit)
		if reason != "" {
			return s, int64(binary.BigEndian.Uint64(rest)), reason
		}
		if !ok {
			return s, 0, ""
		}
		if n > len(rest) {
			if s.bytes == 0 {
				s.wants = n
			}
			return s, 0, ""
		}
		h, reason := header(rest[:n])
		if reason == "" && h.base < s.next {
			reason = fmt.Sprintf("batch begins before the end %d of the one before it", s.next)
		}
		if reason != "" {
			return s, h.base, reason
		}
		s.next, s.bytes, s.largest, s.last = h.last+1, s.bytes+n, max(s.largest, n), n
	}
}

// tooLarge returns the offset behind the batch that b begins with, and how many
// records that holds, if it is whole and sound and only larger than the limit.
func tooLarge(b []byte, limit int) (after, records int64) {
	if len(b) < batchHeader || b[16] != 2 {
		return 0, 0
	}
	n := int64(int32(binary.BigEndian.Uint32(b[8:]))) + 12
	if n <= int64(limit) || n > int64(len(b)) {
		return 0, 0
	}
	h, reason := header(b[:n])
	if reason != "" || binary.BigEndian.Uint32(b[17:]) != crc32.Checksum(b[21:n], crc32.MakeTable(crc32.Castagnoli)) {
		return 0, 0
	}
	return h.last + 1, int64(h.count)
}

type scanned struct {
	next           int64 // -1 when there is no whole batch
	bytes, largest int
	last           int // size of the last whole batch
	wants          int // size of the first batch, if that was cut off
}

// walker hands out the records of consecutive batches of one partition.
type walker struct {
	batches []byte // whole batches only
	// aborted are the aborted transactions that the response named and whose
	// first offset has not been reached, by first offset; aborting are the
	// producers inside of one. Both are empty when reading uncommitted.
	aborted  []kmsg.FetchResponseTopicPartitionAbortedTransaction
	aborting []int64
	limit    int
	dec      *decompressor
	table    *crc32.Table
}

func newWalker(batches []byte, aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction, limit int, dec *decompressor) walker {
	slices.SortFunc(aborted, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		switch {
		case a.FirstOffset < b.FirstOffset:
			return -1
		case a.FirstOffset > b.FirstOffset:
			return 1
		}
		return 0
	})
	// MakeTable returns one and the same table for this polynomial.
	return walker{batches: batches, aborted: aborted, limit: limit, dec: dec, table: crc32.MakeTable(crc32.Castagnoli)}
}

// walk calls yield with every record in [from, until) and returns false when
// yield did. It stops before the first batch that reaches past until-1, after
// handing out what of it is in the range, so that a later walk can go on there.
// rec is reused; its Topic and Partition are the caller's.
func (w *walker) walk(rec *Record, from, until int64, yield func(*Record, error) bool) (more bool, err error) {
	for len(w.batches) > 0 {
		n, ok, reason := batchSize(w.batches, w.limit)
		if reason != "" || !ok || n > len(w.batches) {
			return false, corrupt(rec, from, "batch is cut off "+reason, nil)
		}
		b := w.batches[:n:n]
		h, reason := header(b)
		if reason != "" {
			return false, corrupt(rec, h.base, reason, nil)
		}
		if h.base >= until {
			return true, nil
		}
		if want, got := binary.BigEndian.Uint32(b[17:]), crc32.Checksum(b[21:], w.table); want != got {
			return false, corrupt(rec, h.base, fmt.Sprintf("batch checksum is %08x, its content's %08x", want, got), nil)
		}
		if more, err = w.records(&h, rec, from, until, yield); err != nil || !more {
			return more, err
		}
		if h.last >= until {
			return true, nil
		}
		w.batches = w.batches[n:]
	}
	return true, nil
}

// records hands out one batch.
func (w *walker) records(h *batch, rec *Record, from, until int64, yield func(*Record, error) bool) (bool, error) {
	for len(w.aborted) > 0 && w.aborted[0].FirstOffset <= h.last {
		if id := w.aborted[0].ProducerID; !slices.Contains(w.aborting, id) {
			w.aborting = append(w.aborting, id)
		}
		w.aborted = w.aborted[1:]
	}
	control := h.attrs&attrControl != 0
	switch {
	case h.last < from && !control:
		return true, nil
	case !control && h.attrs&attrTransactional != 0 && slices.Contains(w.aborting, h.producer):
		return true, nil
	case h.count == 0:
		return true, nil
	}
	if codec := int(h.attrs & attrCodec); codec != codecNone {
		var err error
		if h.records, err = w.dec.decompress(h.records, codec); err != nil {
			e := corrupt(rec, h.base, "cannot decompress the batch", err)
			if errors.Is(err, errTooLarge) {
				e.After, e.Records = h.last+1, int64(h.count)
			}
			return false, e
		}
	}
	if control {
		return true, w.marker(h, rec)
	}
	return decode(h, rec, from, until, yield)
}

// marker ends a producer's aborted transaction. A control record's key is an
// int16 version and an int16 type: 0 abort, 1 commit.
func (w *walker) marker(h *batch, rec *Record) error {
	_, err := decode(h, rec, h.base, h.last+1, func(r *Record, _ error) bool {
		if len(r.Key) >= 4 && binary.BigEndian.Uint16(r.Key[2:]) == 0 {
			w.aborting = slices.DeleteFunc(w.aborting, func(id int64) bool { return id == h.producer })
		}
		return true
	})
	return err
}

func corrupt(rec *Record, offset int64, reason string, err error) *CorruptError {
	return &CorruptError{Topic: rec.Topic, Partition: rec.Partition, Offset: offset, Reason: reason, Err: err}
}
