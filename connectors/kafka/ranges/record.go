package ranges

import "encoding/binary"

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

// headers checks that the headers at b[at:] are whole, so that iterating over
// them cannot fail, and that nothing comes after them.
func headers(b []byte, at int) (encoded []byte, n int, ok bool) {
	count, at := varint(b, at)
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
	n, at := varint(b, at)
	if at < 0 || n > int64(len(b)-at) {
		return nil, 0, false
	}
	if n < 0 {
		return nil, at, n == -1
	}
	next = at + int(n)
	return b[at:next:next], next, true
}

// varint decodes a zigzag varint at b[at:] and returns where it ends, or -1 when
// there is none. It may be called with the -1 of the one before. One byte is the
// usual case; the rest is kept out of line so that this inlines.
func varint(b []byte, at int) (v int64, next int) {
	if uint(at) < uint(len(b)) && b[at] < 0x80 {
		return int64(b[at]>>1) ^ -int64(b[at]&1), at + 1
	}
	return longVarint(b, at)
}

func longVarint(b []byte, at int) (v int64, next int) {
	if at < 0 || at >= len(b) {
		return 0, -1
	}
	v, n := binary.Varint(b[at:])
	if n <= 0 {
		return 0, -1
	}
	return v, at + n
}
