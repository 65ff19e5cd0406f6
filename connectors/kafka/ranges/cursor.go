package ranges

// cursor is a place inside a batch that was checked and decompressed, so that a
// range that ends there costs the next one nothing.
type cursor struct {
	batch
	at   int   // in records, where the next record begins
	prev int64 // offset delta of the record before it, -1 at the batch's begin
	left int32 // records from there on
}

// begin returns the place before a batch's first record.
func begin(h batch) cursor { return cursor{batch: h, prev: -1, left: h.count} }

// decode hands out the records in [from, until) from the cursor's place on and
// moves it; it stops before the first record that isn't before until. A record is
// a varint size and that many bytes: attributes int8 (unused), then varints for
// timestamp delta and offset delta, key, value, and the headers' count and their
// keys and values, each a varint length (-1 null) and bytes.
//
// The checksum holds, so wrong lengths are the producer's own. They are errors:
// every slice here is bounded by what is known to be there.
func (c *cursor) decode(rec *Record, from, until int64, yield func(*Record, error) bool) (more bool, err error) {
	b := c.records
	for c.left > 0 {
		size, k, ok := short(b, c.at)
		if !ok {
			size, k = longVarint(b, c.at)
		}
		if k < 0 || size < 6 || size > int64(len(b)-k) {
			return false, corrupt(rec, c.base+c.prev+1, "record is longer than its batch", nil)
		}
		next := k + int(size)
		body := b[k:next:next]
		stamp, k, ok := short(body, 1)
		if !ok {
			stamp, k = longVarint(body, 1)
		}
		delta, k, ok := short(body, k)
		if !ok {
			delta, k = longVarint(body, k)
		}
		if k < 0 || delta <= c.prev || delta > c.last-c.base {
			return false, corrupt(rec, c.base+c.prev+1, "record's offset is out of order or outside its batch", nil)
		}
		offset := c.base + delta
		if offset >= until {
			return true, nil
		}
		c.at, c.prev, c.left = next, delta, c.left-1
		if offset < from {
			continue
		}
		rec.Key, k, ok = field(body, k)
		if ok {
			rec.Value, k, ok = field(body, k)
		}
		if !ok {
			return false, corrupt(rec, offset, "record's key or value is longer than the record", nil)
		}
		rec.Offset, rec.Timestamp = offset, c.firstTime+stamp
		if c.attrs&attrLogAppendTime != 0 {
			rec.Timestamp = c.maxTime
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
	if c.at != len(b) {
		return false, corrupt(rec, c.last, "batch holds more bytes than its records", nil)
	}
	return true, nil
}
