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
	inside   cursor // of the first of batches, when it was begun; else its size is 0
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
// yield did. It stops where the range ends, inside a batch too, so that a later
// walk can go on there. rec is reused; its Topic and Partition are the caller's.
func (w *walker) walk(rec *Record, from, until int64, yield func(*Record, error) bool) (more bool, err error) {
	for len(w.batches) > 0 {
		if w.inside.size == 0 {
			goesOn, err := w.enter(rec, from, until)
			if err != nil || !goesOn {
				return err == nil, err
			}
		}
		if more, err = w.inside.decode(rec, from, until, yield); err != nil || !more {
			return more, err
		}
		if w.inside.last >= until {
			return true, nil
		}
		w.batches = w.batches[w.inside.size:]
		w.inside = cursor{}
	}
	return true, nil
}

// enter checks the next batch and begins it, unless it is past the range.
func (w *walker) enter(rec *Record, from, until int64) (goesOn bool, err error) {
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
		return false, nil
	}
	if want, got := binary.BigEndian.Uint32(b[17:]), crc32.Checksum(b[21:], w.table); want != got {
		return false, corrupt(rec, h.base, fmt.Sprintf("batch checksum is %08x, its content's %08x", want, got), nil)
	}
	w.inside, err = w.open(h, rec, from)
	return true, err
}

// open returns the place before the first of a batch's records that are to be
// handed out, which is behind the last where none is.
func (w *walker) open(h batch, rec *Record, from int64) (cursor, error) {
	for len(w.aborted) > 0 && w.aborted[0].FirstOffset <= h.last {
		if id := w.aborted[0].ProducerID; !slices.Contains(w.aborting, id) {
			w.aborting = append(w.aborting, id)
		}
		w.aborted = w.aborted[1:]
	}
	control := h.attrs&attrControl != 0
	nothing := cursor{batch: h, at: len(h.records)}
	switch {
	case h.last < from && !control:
		return nothing, nil
	case !control && h.attrs&attrTransactional != 0 && slices.Contains(w.aborting, h.producer):
		return nothing, nil
	case h.count == 0:
		return nothing, nil
	}
	if codec := int(h.attrs & attrCodec); codec != codecNone {
		var err error
		if h.records, err = w.dec.decompress(h.records, codec); err != nil {
			if errors.Is(err, errTooLarge) {
				e := corrupt(rec, h.base, fmt.Sprintf("its records are over the limit of %d bytes (MaxBatchBytes) when decompressed", w.limit), nil)
				e.After, e.Records = h.last+1, int64(h.count)
				return nothing, e
			}
			return nothing, corrupt(rec, h.base, "cannot decompress the batch", err)
		}
	}
	if control {
		return nothing, w.marker(h, rec)
	}
	return begin(h), nil
}

// marker ends a producer's aborted transaction. A control record's key is an
// int16 version and an int16 type: 0 abort, 1 commit.
func (w *walker) marker(h batch, rec *Record) error {
	c := begin(h)
	_, err := c.decode(rec, h.base, h.last+1, func(r *Record, _ error) bool {
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
