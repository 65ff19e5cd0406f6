package ranges

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
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
		return 0, false, overLimit(int64(n)+12, limit)
	}
	return int(n) + 12, true, ""
}

// overLimit says that a batch is larger than Options.MaxBatchBytes.
func overLimit(size int64, limit int) string {
	return fmt.Sprintf("its %d bytes are over the limit of %d (MaxBatchBytes)", size, limit)
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
