package ranges

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/vmihailenco/msgpack/v5"
)

// encode makes a whole batch of records that are encoded already.
func encode(h kmsg.RecordBatch, records []byte) []byte {
	h.Magic, h.Records = 2, records
	h.Length = int32(batchHeader - 12 + len(records))
	b := h.AppendTo(nil)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// record encodes one record; its length is right.
func record(delta int32, key, value string, headers ...kmsg.Header) []byte {
	r := kmsg.Record{OffsetDelta: delta, Key: []byte(key), Value: []byte(value), Headers: headers}
	r.Length = int32(len(r.AppendTo(nil)) - 1) // a length of zero takes one byte
	return r.AppendTo(nil)
}

func plain(base int64, values ...string) []byte {
	var records []byte
	for i, v := range values {
		records = append(records, record(int32(i), "k", v)...)
	}
	return encode(kmsg.RecordBatch{FirstOffset: base, LastOffsetDelta: int32(len(values) - 1), NumRecords: int32(len(values)), ProducerID: -1}, records)
}

func walkAll(b []byte, from, until int64, limit int) (got []Record, err error) {
	sc, at, reason := scan(b, limit)
	if reason != "" {
		return nil, &CorruptError{Offset: at, Reason: reason}
	}
	w := newWalker(b[:sc.bytes], nil, limit, newDecompressor(limit))
	_, err = w.walk(&Record{Topic: "t"}, from, until, func(r *Record, _ error) bool {
		got = append(got, *r)
		return true
	})
	return got, err
}

func TestWalkEndsAndResumes(t *testing.T) {
	log := slices.Concat(plain(10, "a", "b", "c"), plain(13, "d", "e"), plain(20, "f"))
	for from := int64(9); from < 22; from++ {
		for until := from; until < 23; until++ {
			w := newWalker(log, nil, 1<<20, newDecompressor(1<<20))
			var got []int64
			note := func(r *Record, _ error) bool { got = append(got, r.Offset); return true }
			for _, rg := range [][2]int64{{from, until}, {until, 23}} { // what is left over begins the next range
				if more, err := w.walk(&Record{}, rg[0], rg[1], note); !more || err != nil {
					t.Fatal(more, err)
				}
			}
			var want []int64
			for _, o := range []int64{10, 11, 12, 13, 14, 20} {
				if o >= from {
					want = append(want, o)
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("[%d,%d) and on: got %d, want %d", from, until, got, want)
			}
		}
	}
}

// A batch in which ranges end is checked and decompressed once, whatever it is
// compressed with: what was found sound isn't looked at again. What it takes when
// decompressed counts as kept.
func TestBatchIsOpenedOnce(t *testing.T) {
	var records []byte
	for i := range 100 {
		records = append(records, record(int32(i), "k", "value")...)
	}
	for name, codec := range map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()} {
		packed, kind := records, 0
		if name != "none" {
			packed, kind = compressed(t, codec, records)
		}
		b := encode(kmsg.RecordBatch{FirstOffset: 50, Attributes: int16(kind), LastOffsetDelta: 99, NumRecords: 100, ProducerID: -1}, packed)
		c := chunk{walker: newWalker(b, nil, 1<<20, newDecompressor(1<<20)), size: int64(len(b))}
		next := int64(50)
		for _, until := range []int64{60, 61, 100, 150} {
			_, err := c.walk(&Record{}, next, until, func(r *Record, _ error) bool {
				if r.Offset != next || string(r.Value) != "value" {
					t.Errorf("%s: offset %d holds %q, want %d", name, r.Offset, r.Value, next)
				}
				next++
				return true
			})
			if err != nil || next != until {
				t.Fatalf("%s: at %d of %d: %v", name, next, until, err)
			}
			want := int64(len(b))
			if name != "none" && until < 150 {
				want += int64(len(records))
			}
			if c.cost() != want {
				t.Errorf("%s: the rest from %d on keeps %d bytes, want %d", name, until, c.cost(), want)
			}
			b[17]++ // its checksum
		}
	}
}

// What is kept of a large response keeps nothing else of it alive, and is read as ever, also from
// the middle of a batch on. What is kept of a small one isn't copied.
func TestKeptChunksAreTheirOwn(t *testing.T) {
	var records []byte
	for i := range 3 {
		records = append(records, record(int32(i), "k", "value")...)
	}
	packed, kind := compressed(t, kgo.ZstdCompression(), records)
	for _, first := range [][]byte{
		plain(0, "value", "value", "value"),
		encode(kmsg.RecordBatch{Attributes: int16(kind), LastOffsetDelta: 2, NumRecords: 3, ProducerID: -1}, packed),
	} {
		log := slices.Concat(first, plain(3, "value"))
		for until := int64(0); until < 4; until++ {
			for total, copied := range map[int]bool{len(log): false, smallWhole: false, smallWhole + 1: true, 16 << 20: true} {
				response, b := slices.Clone(log), newBuffer(1<<20)
				sc, _, _ := scan(response, 1<<20)
				c := newChunk(&kmsg.FetchResponseTopicPartition{RecordBatches: response}, 0, total, sc, &Options{MaxBatchBytes: 1 << 20}, newDecompressor(1<<20))
				next := int64(0)
				read := func(until int64) {
					t.Helper()
					_, err := c.walk(&Record{}, next, until, func(r *Record, _ error) bool {
						if r.Offset != next || string(r.Value) != "value" {
							t.Errorf("offset %d holds %q, want %d", r.Offset, r.Value, next)
						}
						next++
						return true
					})
					if err != nil || next != until {
						t.Fatalf("at %d of %d: %v", next, until, err)
					}
				}
				read(until)
				b.keep(partitionKey{"t", 0}, [16]byte{}, until, c)
				kept := b.leftover(Range{Topic: "t", From: until, Until: 4})
				if len(kept) != 1 || b.used != 0 {
					t.Fatalf("%d chunks are kept, of %d bytes when they are taken", len(kept), b.used)
				}
				if c = kept[0]; copied {
					clear(response)
				} else if &c.batches[len(c.batches)-1] != &response[len(response)-1] {
					t.Errorf("a part of %d bytes of %d is copied", len(c.batches), total)
				}
				read(4)
			}
		}
	}
}

// What finds no room isn't copied to find that out. What does is counted as it is kept.
func TestNoRoomNoCopy(t *testing.T) {
	response := make([]byte, 100)
	part := func(next, bytes int64) chunk {
		return chunk{walker: walker{batches: response[:bytes]}, next: next, size: 80, whole: smallWhole + 1}
	}
	b, key := newBuffer(100), partitionKey{"t", 0}
	if !b.keep(key, [16]byte{}, 0, part(1, 60)) || b.used != 60 {
		t.Errorf("60 bytes of a large response cost %d", b.used)
	}
	if n := testing.AllocsPerRun(10, func() {
		if b.extend(key, [16]byte{}, 1, part(2, 50)) {
			t.Error("50 bytes are kept behind 60, of 100")
		}
	}); n != 0 {
		t.Errorf("what doesn't fit behind what is kept takes %v allocations", n)
	}
	if !b.extend(key, [16]byte{}, 1, part(2, 40)) || b.used != 100 {
		t.Errorf("60 and 40 bytes of large responses cost %d", b.used)
	}
	b = newBuffer(40)
	if n := testing.AllocsPerRun(10, func() {
		if b.keep(key, [16]byte{}, 0, part(1, 50)) {
			t.Error("50 bytes are kept, of 40")
		}
	}); n != 0 {
		t.Errorf("what doesn't fit takes %v allocations", n)
	}
}

// TestAbortedStateSurvivesALeftover: producer 7 aborts offsets 0-1 (its marker is
// 2) and commits 3-4. A range that begins at 3 from a leftover must not take the
// finished abort for one of what follows.
func TestAbortedStateSurvivesALeftover(t *testing.T) {
	txn := func(base int64, values ...string) []byte {
		b := plain(base, values...)
		var h kmsg.RecordBatch
		if err := h.ReadFrom(b); err != nil {
			t.Fatal(err)
		}
		h.Attributes, h.ProducerID = attrTransactional, 7
		return encode(h, h.Records)
	}
	marker := func(base int64, kind byte) []byte {
		return encode(kmsg.RecordBatch{FirstOffset: base, NumRecords: 1, ProducerID: 7, Attributes: attrTransactional | attrControl},
			record(0, "\x00\x00\x00"+string([]byte{kind}), "\x00\x00\x00\x00\x00\x00"))
	}
	log := slices.Concat(txn(0, "x", "y"), marker(2, 0), txn(3, "c", "d"), marker(5, 1))
	aborted := []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 7, FirstOffset: 0}}
	for split := int64(0); split <= 6; split++ {
		w := newWalker(log, slices.Clone(aborted), 1<<20, newDecompressor(1<<20))
		var got []string
		note := func(r *Record, _ error) bool { got = append(got, string(r.Value)); return true }
		for _, rg := range [][2]int64{{0, split}, {split, 6}} {
			if _, err := w.walk(&Record{}, rg[0], rg[1], note); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, []string{"c", "d"}) {
			t.Errorf("split at %d: got %q, want c and d", split, got)
		}
	}
}

func TestLyingBatches(t *testing.T) {
	one := kmsg.RecordBatch{FirstOffset: 5, NumRecords: 1, ProducerID: -1}
	two := kmsg.RecordBatch{FirstOffset: 5, NumRecords: 2, LastOffsetDelta: 1, ProducerID: -1}
	good := record(0, "k", "v")
	poke := func(b []byte, at int, v byte) []byte { b = bytes.Clone(b); b[at] = v; return b }
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"size past the batch", encode(one, poke(good, 0, 40)), "longer than its batch"},
		{"size negative", encode(one, poke(good, 0, 1)), "longer than its batch"},
		{"key past the record", encode(one, poke(good, 4, 40)), "key or value"},
		{"key length -2", encode(one, poke(good, 4, 3)), "key or value"},
		{"value past the record", encode(one, poke(good, 6, 40)), "key or value"},
		{"headers past the record", encode(one, poke(good, 8, 2)), "headers"},
		{"negative header count", encode(one, poke(good, 8, 1)), "headers"},
		{"bytes after the headers", encode(one, append(poke(good, 0, good[0]+2), 9)), "headers"},
		{"offset outside", encode(one, record(3, "k", "v")), "outside its batch"},
		{"offset twice", encode(two, slices.Concat(good, good)), "out of order"},
		{"fewer records", encode(two, good), "longer than its batch"},
		{"more records", encode(one, slices.Concat(good, good)), "more bytes than its records"},
		{"too many records", encode(kmsg.RecordBatch{FirstOffset: 5, NumRecords: 1 << 30}, good), "says it holds"},
		{"negative count", encode(kmsg.RecordBatch{FirstOffset: 5, NumRecords: -1}, good), "says it holds"},
		{"negative last offset", encode(kmsg.RecordBatch{FirstOffset: 5, NumRecords: 1, LastOffsetDelta: -4}, good), "offsets"},
		{"unknown codec", encode(kmsg.RecordBatch{FirstOffset: 5, NumRecords: 1, Attributes: 7}, good), "codec 7"},
		{"not gzip", encode(kmsg.RecordBatch{FirstOffset: 5, NumRecords: 1, Attributes: 1}, good), "decompress"},
		{"checksum", poke(encode(one, good), 69, 1), "checksum"},
		{"old format", poke(encode(one, good), 16, 1), "message format 1"},
		{"version", poke(encode(one, good), 16, 9), "version 9"},
		{"batch length", poke(encode(one, good), 8, 0x7f), "limit"},
		{"small length", poke(encode(one, good), 11, 3), "too small"},
		{"going back", slices.Concat(encode(two, slices.Concat(good, record(1, "k", "v"))), encode(one, good)), "before the end"},
	} {
		got, err := walkAll(c.b, 0, 100, 1<<20)
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v; want an error that says %q", c.name, got, err, c.want)
		}
	}
	if got, err := walkAll(encode(one, good), 0, 100, 1<<20); err != nil || len(got) != 1 {
		t.Error("the good one:", got, err)
	}
}

func compressed(t testing.TB, codec kgo.CompressionCodec, b []byte) ([]byte, int) {
	c, err := kgo.DefaultCompressor(codec)
	if err != nil {
		t.Fatal(err)
	}
	out, kind := c.Compress(new(bytes.Buffer), b)
	return out, int(kind)
}

func TestDecompressionIsBounded(t *testing.T) {
	bomb := make([]byte, 8<<20)
	xerial := func(blocks ...[]byte) []byte {
		b := append([]byte(xerialMagic), 0, 0, 0, 1, 0, 0, 0, 1)
		for _, block := range blocks {
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(block))), block...)
		}
		return b
	}
	for name, codec := range map[string]kgo.CompressionCodec{"gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()} {
		b, kind := compressed(t, codec, bomb)
		if _, err := newDecompressor(1<<20).decompress(b, kind); err == nil {
			t.Errorf("%s: no error above the limit", name)
		}
		if got, err := newDecompressor(16<<20).decompress(b, kind); err != nil || !bytes.Equal(got, bomb) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if _, err := newDecompressor(16<<20).decompress(b[:len(b)/2], kind); err == nil {
			t.Errorf("%s: no error when cut off", name)
		}
	}
	part, _ := compressed(t, kgo.SnappyCompression(), bomb[:1<<20])
	if got, err := newDecompressor(4<<20).decompress(xerial(part, part), codecSnappy); err != nil || len(got) != 2<<20 {
		t.Error("xerial:", len(got), err)
	}
	if _, err := newDecompressor(1<<20).decompress(xerial(part, part), codecSnappy); !errors.Is(err, errTooLarge) {
		t.Error("xerial above the limit:", err)
	}
	for _, b := range [][]byte{xerial(part)[:20], append(xerial(), 0), append(xerial(), 0xff, 0xff, 0xff, 0xff, 1)} {
		if _, err := newDecompressor(4<<20).decompress(b, codecSnappy); err == nil {
			t.Error("xerial cut off: no error")
		}
	}
}

func TestHeaders(t *testing.T) {
	b := encode(kmsg.RecordBatch{NumRecords: 1}, record(0, "k", "v", kmsg.Header{Key: "a", Value: []byte("1")}, kmsg.Header{Key: "n"}, kmsg.Header{Key: "a", Value: []byte("2")}))
	got, err := walkAll(b, 0, 1, 1<<20)
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	rec := got[0].Clone()
	clear(b)
	var all []string
	for k, v := range rec.Headers() {
		all = append(all, fmt.Sprintf("%s=%q %v", k, v, v == nil))
	}
	if want := []string{`a="1" false`, `n="" true`, `a="2" false`}; rec.NumHeaders() != 3 || !slices.Equal(all, want) {
		t.Errorf("got %q, want %q", all, want)
	}
	if v, ok := rec.Header("a"); !ok || string(v) != "2" {
		t.Errorf("the last one counts: %q %v", v, ok)
	}
	if v, ok := rec.Header("b"); ok || v != nil {
		t.Errorf("not there: %q %v", v, ok)
	}
	if n := testing.AllocsPerRun(100, func() {
		for range rec.Headers() {
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzWalk feeds anything as a response, and as the records of a batch whose
// checksum holds. Nothing may panic; what is accepted must be what kmsg's decoder
// reads.
func FuzzWalk(f *testing.F) {
	f.Add(plain(3, "a", "bb"), int64(3), uint16(0), int32(2), int32(1))
	f.Add(slices.Concat(record(0, "k", "v"), record(1, "", "", kmsg.Header{Key: "h"})), int64(0), uint16(0), int32(2), int32(1))
	for _, codec := range []kgo.CompressionCodec{kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		b, kind := compressed(f, codec, bytes.Repeat(record(0, "k", "v"), 9))
		f.Add(b, int64(0), uint16(kind), int32(9), int32(8))
	}
	f.Fuzz(func(t *testing.T, data []byte, base int64, attrs uint16, count, delta int32) {
		const limit = 1 << 16
		_, _ = walkAll(data, base, base+5, limit)
		if len(data) > limit {
			return
		}
		batch := encode(kmsg.RecordBatch{FirstOffset: base, Attributes: int16(attrs), NumRecords: count, LastOffsetDelta: delta, FirstTimestamp: 99}, data)
		got, err := walkAll(batch, 0, 1<<62, limit)
		if err != nil || count == 0 || attrs&(attrControl|attrCodec) != 0 {
			return
		}
		var rb kmsg.RecordBatch
		if err := rb.ReadFrom(batch); err != nil {
			t.Fatal(err)
		}
		want, err := kfake.BatchRecords(rb)
		if err != nil || len(want) != len(got) {
			t.Fatalf("accepted %d records, kmsg reads %d: %v", len(got), len(want), err)
		}
		for i, w := range want {
			g := got[i]
			if !bytes.Equal(g.Key, w.Key) || !bytes.Equal(g.Value, w.Value) || g.Offset != base+int64(w.OffsetDelta) || g.NumHeaders() != len(w.Headers) {
				t.Fatalf("record %d: %+v, kmsg reads %+v", i, g, w)
			}
			h := 0
			for k, v := range g.Headers() {
				if string(k) != w.Headers[h].Key || !bytes.Equal(v, w.Headers[h].Value) {
					t.Fatalf("record %d header %d: %q=%q", i, h, k, v)
				}
				h++
			}
		}
	})
}

func FuzzDecompress(f *testing.F) {
	for _, codec := range []kgo.CompressionCodec{kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		b, kind := compressed(f, codec, bytes.Repeat([]byte("hibana "), 99))
		f.Add(b, uint8(kind))
	}
	const limit = 1 << 16
	d := newDecompressor(limit)
	f.Fuzz(func(t *testing.T, data []byte, codec uint8) {
		if out, err := d.decompress(data, int(codec&attrCodec)); err == nil && codec&attrCodec != 0 && len(out) > limit {
			t.Fatalf("%d bytes above the limit", len(out))
		}
	})
}

func TestLeftoversAreBounded(t *testing.T) {
	b := newBuffer(100)
	keep := func(p int32, cost int64) { b.keep(partitionKey{"t", p}, [16]byte{}, 9, chunk{size: cost}) }
	next := func(p int32) Range { return Range{Topic: "t", Partition: p, From: 9, Until: 20} }
	keep(0, 60)
	keep(1, 30)
	keep(2, 30) // 0 makes room
	if cs := b.leftover(next(0)); cs != nil || b.used != 60 {
		t.Fatal("the oldest leftover is still there", b.used)
	}
	keep(1, 200) // too large; replaces what there was of the partition
	if cs := b.leftover(next(1)); cs != nil || b.used != 30 {
		t.Fatal("a leftover larger than the limit is kept", b.used)
	}
	other := next(2)
	other.TopicID[0] = 1
	if cs := b.leftover(other); cs != nil {
		t.Fatal("another topic's leftover")
	}
	keep(3, 60)
	s := newStream(next(7))
	b.admit(s)
	if due := b.due(newHistory(), &Options{PartitionBytes: 40}); len(due) != 1 || b.used != 100 {
		t.Fatal("the oldest leftover must make room for a prefetch", b.used)
	}
	if cs := b.leftover(next(3)); cs == nil || b.used != 40 {
		t.Fatal("the other leftover had room", b.used)
	}
}

// A record goes through a shuffle whole, and broken bytes are no record.
func TestRecordEncoding(t *testing.T) {
	headers := append(binary.AppendVarint(nil, 1), 2, 'k', 2, 'v')
	r := Record{Topic: "t", Partition: 1, Offset: 2, Timestamp: -1, Key: []byte{}, headers: headers[1:], nheader: 1}
	b, err := msgpack.Marshal(&r)
	var got Record
	if err != nil || msgpack.Unmarshal(b, &got) != nil || !reflect.DeepEqual(got, r) {
		t.Fatalf("%+v became %+v, %v", r, got, err)
	}
	if v, ok := got.Header("k"); !ok || string(v) != "v" {
		t.Errorf("header %q, %v", v, ok)
	}
	for cut := range b {
		if err := msgpack.Unmarshal(b[:cut], new(Record)); err == nil {
			t.Errorf("%d of %d bytes are a record", cut, len(b))
		}
	}
	b[len(b)-2] = 9 // the length of the header's value
	if err := msgpack.Unmarshal(b, new(Record)); err == nil {
		t.Error("headers that don't fit are accepted")
	}
}

func FuzzRecordEncoding(f *testing.F) {
	for _, r := range []Record{{}, {Topic: "t", Value: []byte("v"), headers: []byte{2, 'k', 1}, nheader: 1}} {
		b, err := msgpack.Marshal(&r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r, again Record
		if msgpack.Unmarshal(b, &r) != nil {
			return
		}
		for range r.Headers() { // must not run out of bounds
		}
		b, err := msgpack.Marshal(&r)
		if err != nil || msgpack.Unmarshal(b, &again) != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}

// What is read ahead of ranges is kept in one piece, of which each takes what it needs.
func TestBufferKeepsWhatFollows(t *testing.T) {
	b := newBuffer(1 << 30)
	key := partitionKey{"t", 0}
	var id [16]byte
	until := func(next int64) chunk { return chunk{next: next, size: 10} }
	take := func(from, to int64, want ...int64) {
		t.Helper()
		var got []int64
		for _, c := range b.leftover(Range{Topic: "t", From: from, Until: to}) {
			got = append(got, c.next)
		}
		if !slices.Equal(got, want) {
			t.Errorf("[%d, %d) begins with chunks until %v, want %v", from, to, got, want)
		}
	}
	if b.extend(key, id, 0, until(10)) {
		t.Error("there is nothing to extend")
	}
	b.keep(key, id, 0, until(10))
	for from := int64(10); from < 40; from += 10 {
		if !b.extend(key, id, from, until(from+10)) {
			t.Errorf("%d isn't taken behind what is there", from)
		}
	}
	if b.extend(key, id, 50, until(60)) || b.extend(key, [16]byte{1}, 40, until(50)) {
		t.Error("a gap, or another topic's")
	}
	take(10, 20)
	take(0, 20, 10, 20)
	take(20, 25, 30)
	b.keep(key, id, 25, until(30)) // what the range had left over
	if b.used != 20 {
		t.Errorf("%d bytes are kept, want those of two chunks", b.used)
	}
	take(25, 100, 30, 40)
	b.keep(key, id, 0, until(10))
	b.keep(key, id, 15, until(20)) // not what comes right before
	take(15, 20, 20)
	take(0, 20)
	b.keep(key, id, 0, until(1))
	n := int64(1)
	for b.extend(key, id, n, until(n+1)) {
		n++
	}
	if n != maxAhead || b.used != 10*maxAhead {
		t.Errorf("%d chunks of %d bytes are kept", n, b.used)
	}
	b.keep(key, id, 0, chunk{next: 1, size: maxAheadBytes})
	if b.extend(key, id, 1, until(2)) {
		t.Error("more than maxAheadBytes are kept")
	}
}
