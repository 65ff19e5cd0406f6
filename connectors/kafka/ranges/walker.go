package ranges

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

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
			if errors.Is(err, errTooLarge) {
				e := corrupt(rec, h.base, fmt.Sprintf("its records are over the limit of %d bytes (MaxBatchBytes) when decompressed", w.limit), nil)
				e.After, e.Records = h.last+1, int64(h.count)
				return false, e
			}
			return false, corrupt(rec, h.base, "cannot decompress the batch", err)
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

// decode hands out the records of a batch (decompressed) in [from, until). A
// record is a varint size and that many bytes: attributes int8 (unused), then
// varints for timestamp delta and offset delta, key, value, and the headers'
// count and their keys and values, each a varint length (-1 null) and bytes.
//
// The checksum holds, so wrong lengths are the producer's own. They are errors:
// every slice here is bounded by what is known to be there.
func decode(h *batch, rec *Record, from, until int64, yield func(*Record, error) bool) (bool, error) {
	b, at := h.records, 0
	prev := int64(-1)
	for range h.count {
		size, k := varint(b, at)
		if k < 0 || size < 6 || size > int64(len(b)-k) {
			return false, corrupt(rec, h.base+prev+1, "record is longer than its batch", nil)
		}
		at = k + int(size)
		body := b[k:at:at]
		stamp, k := varint(body, 1)
		delta, k := varint(body, k)
		if k < 0 || delta <= prev || delta > h.last-h.base {
			return false, corrupt(rec, h.base+prev+1, "record's offset is out of order or outside its batch", nil)
		}
		prev = delta
		offset := h.base + delta
		if offset < from {
			continue
		}
		if offset >= until {
			return true, nil
		}
		var ok bool
		rec.Key, k, ok = field(body, k)
		if ok {
			rec.Value, k, ok = field(body, k)
		}
		if !ok {
			return false, corrupt(rec, offset, "record's key or value is longer than the record", nil)
		}
		rec.Offset, rec.Timestamp = offset, h.firstTime+stamp
		if h.attrs&attrLogAppendTime != 0 {
			rec.Timestamp = h.maxTime
		}
		if k == len(body)-1 && body[k] == 0 { // no headers, the usual case
			rec.headers, rec.nheader = nil, 0
		} else if rec.headers, rec.nheader, ok = headers(body, k); !ok {
			return false, corrupt(rec, offset, "record's headers do not fit the record", nil)
		}
		if !yield(rec, nil) {
			return false, nil
		}
	}
	if at != len(b) {
		return false, corrupt(rec, h.last, "batch holds more bytes than its records", nil)
	}
	return true, nil
}

func corrupt(rec *Record, offset int64, reason string, err error) *CorruptError {
	return &CorruptError{Topic: rec.Topic, Partition: rec.Partition, Offset: offset, Reason: reason, Err: err}
}
