package keyed

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hibana-engine/hibana/rdd/frame"
)

// session is a value with memory of its own.
type session struct {
	User  string
	Pages []string
	Seen  map[string]int64
	Total float64
}

func sessionOf(i int) session {
	return session{User: "user " + strconv.Itoa(i), Pages: []string{"a", strings.Repeat("b", i%50)}, Seen: map[string]int64{"x": int64(i)}, Total: float64(i) / 3}
}

func codecFor[K comparable, V any](t testing.TB) Codec[K, V] {
	t.Helper()
	c, err := CodecFor[K, V]()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var visits = Header{Table: "visits", Partition: 3, Partitions: 8}

// at is the header of a version.
func (h Header) at(until int64) Header {
	h.Until = until
	return h
}

// base returns the file of a table.
func base[K comparable, V any](t testing.TB, c Codec[K, V], h Header, table *Table[K, V]) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := c.WriteBase(&b, h, table); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func delta[K comparable, V any](t testing.TB, c Codec[K, V], h Header, table *Table[K, V], since int64) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := c.WriteDelta(&b, h, table, since); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readers(files ...[]byte) (all []io.Reader) {
	for _, f := range files {
		all = append(all, bytes.NewReader(f))
	}
	return all
}

// strs returns entries for comparing them.
func strs[K comparable, V any](t *Table[K, V]) (all []string) {
	for _, r := range rows(t.All) {
		all = append(all, fmt.Sprintf("%v", r))
	}
	return all
}

// TestFiles builds each version of a history from a base and deltas.
func TestFiles(t *testing.T) {
	for _, n := range []int{0, 1, 7, 5000} {
		c := codecFor[string, session](t)
		keys := KeysOf(c.Key)
		table := New[string, session](keys, nil)
		r := rand.New(rand.NewPCG(uint64(n), 5))
		var files [][]byte
		for batch := range int64(6) {
			edit := table.Edit()
			for range n / (1 + 3*int(batch)) {
				edit.Put("key "+strconv.Itoa(r.IntN(n)), sessionOf(r.IntN(1000)), 1e18+batch)
			}
			for range n / 8 {
				edit.Remove("key "+strconv.Itoa(r.IntN(n)), 1e18+batch)
			}
			table = edit.Commit()
			if batch == 0 {
				files = append(files, base(t, c, visits.at(1e18), table))
			} else {
				files = append(files, delta(t, c, visits.at(1e18+batch), table, 1e18+batch-1))
			}
			got, last, err := c.Build(New[string, session](keys, nil), visits, readers(files...)...)
			if err != nil {
				t.Fatal(err)
			}
			if last.Until != 1e18+batch || !slices.Equal(strs(got), strs(table)) {
				t.Fatalf("%d keys, batch %d: %d entries built up to %d, want %d", n, batch, got.Len(), last.Until, table.Len())
			}
			if again := base(t, c, visits.at(1), got); !bytes.Equal(again, base(t, c, visits.at(1), table)) {
				t.Fatal("the table that was built is written as other bytes")
			}
			bounds(t, got)
		}
	}
}

// TestBuiltGoesOn: a table that was built may be written as a delta since then, not since
// earlier.
func TestBuiltGoesOn(t *testing.T) {
	c := codecFor[int, int](t)
	edit := New[int, int](KeysOf(c.Key), nil).Edit()
	for k := range 100 {
		edit.Put(k, k, 10)
	}
	first := base(t, c, visits.at(10), edit.Commit())
	table, _, err := c.Build(New[int, int](KeysOf(c.Key), nil), visits, readers(first)...)
	if err != nil {
		t.Fatal(err)
	}
	edit = table.Edit()
	edit.Remove(7, 20)
	edit.Put(8, -8, 20)
	table = edit.Commit()
	second := delta(t, c, visits.at(20), table, 10)
	f, err := NewReader(bytes.NewReader(second))
	if err != nil {
		t.Fatal(err)
	}
	if h := f.Header(); h.Entries != 1 || h.Removals != 1 || h.Base || h.Since != 10 || h.Key != "int" {
		t.Errorf("the delta is a %s", h)
	}
	built, _, err := c.Build(New[int, int](KeysOf(c.Key), nil), visits, readers(first, second)...)
	if err != nil || !slices.Equal(strs(built), strs(table)) {
		t.Errorf("built %d entries, %v", built.Len(), err)
	}
	if err := c.WriteDelta(io.Discard, visits, table, 9); !errors.Is(err, ErrForgotten) {
		t.Errorf("a delta since before it was built: %v", err)
	}
}

// TestOwnMemory: what was read doesn't alias the file.
func TestOwnMemory(t *testing.T) {
	c := codecFor[string, string](t)
	edit := New[string, string](KeysOf(c.Key), nil).Edit()
	edit.Put("key", "value", 1)
	file := base(t, c, visits, edit.Commit())
	table, h, err := c.Build(New[string, string](KeysOf(c.Key), nil), visits, readers(file)...)
	if err != nil {
		t.Fatal(err)
	}
	clear(file)
	if v, _, _ := table.Get("key"); v != "value" || h.Table != "visits" {
		t.Errorf("%q of %s", v, h)
	}
}

// TestLongEntries: entries longer than a block, which isn't compressed then.
func TestLongEntries(t *testing.T) {
	c := codecFor[int, string](t)
	edit := New[int, string](KeysOf(c.Key), nil).Edit()
	for k := range 5 {
		edit.Put(k, strings.Repeat("long", k*blockSize/2), math.MaxInt64-int64(k))
	}
	table := edit.Commit()
	got, _, err := c.Build(New[int, string](KeysOf(c.Key), nil), visits, readers(base(t, c, visits, table))...)
	if err != nil || !slices.Equal(strs(got), strs(table)) {
		t.Errorf("not what was written: %v", err)
	}
}

// reframed returns a file with a frame changed and its checksums made right.
func reframed(t *testing.T, file []byte, n int, change func([]byte) []byte) []byte {
	t.Helper()
	out := slices.Clone(file[:preamble])
	for i, rest := 0, file[preamble:]; len(rest) > 0; i++ {
		fr, stored, err := frame.ReadHeader(rest[:frame.HeaderSize], frame.MaxRaw)
		if err != nil {
			t.Fatal(err)
		}
		fr.Data = rest[frame.HeaderSize:][:stored]
		b, err := fr.Unpack(mostPacked)
		if err != nil {
			t.Fatal(err)
		}
		if b = slices.Clone(b); i == n {
			b = change(b)
		}
		fr = frame.Frame{Data: b, Sum: frame.Checksum(b)}
		if b != nil {
			out = append(fr.AppendHeader(out), b...)
		}
		rest = rest[frame.HeaderSize+stored:]
	}
	return out
}

// TestDamaged reads files that aren't what was written, or not what is wanted.
func TestDamaged(t *testing.T) {
	c := codecFor[string, int](t)
	edit := New[string, int](KeysOf(c.Key), nil).Edit()
	for k := range 20_000 {
		edit.Put(strconv.Itoa(k*7919%10007*31+k), k, int64(k))
	}
	table := edit.Commit()
	file := base(t, c, visits.at(20_000), table)
	gap := delta(t, c, visits.at(30), table, 25)
	otherTable, otherPart, otherCount := visits, visits, visits
	otherTable.Table, otherPart.Partition, otherCount.Partitions = "views", 4, 9
	flip := func(at int) []byte {
		b := slices.Clone(file)
		b[at] ^= 4
		return b
	}
	in := func(n int, change func([]byte) []byte) [][]byte { return [][]byte{reframed(t, file, n, change)} }
	set := func(at int, to byte) func([]byte) []byte {
		return func(b []byte) []byte { b[at] = to; return b }
	}
	for name, test := range map[string]struct {
		files [][]byte
		want  error
		says  string
	}{
		"empty":                     {[][]byte{{}}, ErrTruncated, "at byte 0 there are 0 bytes of 12"},
		"no files":                  {nil, ErrSequence, "0 files"},
		"another file":              {[][]byte{[]byte("PK\x03\x04 some archive")}, ErrNotTable, `begins with "PK`},
		"another version":           {[][]byte{flip(8)}, ErrVersion, "version 5, this program reads 1"},
		"cut in the preamble":       {[][]byte{file[:5]}, ErrTruncated, "5 bytes of 12"},
		"cut in the header":         {[][]byte{file[:20]}, ErrTruncated, "at byte 12 "},
		"cut in a block":            {[][]byte{file[:len(file)/2]}, ErrTruncated, "at byte "},
		"cut before the trailer":    {in(lastFrame(t, file), func([]byte) []byte { return nil }), ErrTruncated, "there are 0 bytes of 16"},
		"cut in the trailer":        {[][]byte{file[:len(file)-1]}, ErrTruncated, "there are 8 bytes of 9"},
		"more behind":               {[][]byte{append(slices.Clone(file), 0)}, ErrCorrupt, "more behind the trailer"},
		"a flipped length":          {[][]byte{flip(12)}, ErrCorrupt, "frame at byte 12: "},
		"a flipped bit":             {[][]byte{flip(len(file) / 2)}, ErrCorrupt, "the frame at byte "},
		"a block is missing":        {in(1, func([]byte) []byte { return nil }), ErrCorrupt, "changes were read"},
		"no header":                 {in(0, func([]byte) []byte { return nil }), ErrCorrupt, "in place of the header"},
		"a broken header":           {in(0, func(b []byte) []byte { return b[:len(b)-1] }), ErrCorrupt, "the header: "},
		"an empty frame":            {in(1, func(b []byte) []byte { return b[:0] }), ErrCorrupt, "an empty frame"},
		"an empty block":            {in(1, func(b []byte) []byte { return b[:1] }), ErrCorrupt, "out of place"},
		"another kind":              {in(1, set(0, 'x')), ErrCorrupt, "kind 'x'"},
		"removals in a base":        {in(1, set(0, frameRemoved)), ErrCorrupt, "out of place"},
		"a key of another kind":     {in(1, set(2, 0xc3)), ErrCorrupt, "a key: "},
		"a key twice":               {[][]byte{twice(t, c)}, ErrCorrupt, "has 1 keys"},
		"a length beyond the block": {in(1, set(1, 0x7f)), ErrCorrupt, ""},
		"a wrong trailer":           {in(lastFrame(t, file), set(1, 1)), ErrCorrupt, "the trailer "},
		"another table":             {[][]byte{base(t, c, otherTable, table)}, ErrOtherTable, `of table "views"`},
		"another partition":         {[][]byte{base(t, c, otherPart, table)}, ErrOtherTable, "partition 4 of 8"},
		"another count":             {[][]byte{base(t, c, otherCount, table)}, ErrOtherTable, "partition 3 of 9"},
		"no base":                   {[][]byte{gap}, ErrSequence, "onto nothing"},
		"two bases":                 {[][]byte{file, file}, ErrSequence, "onto base of 20000"},
		"a gap":                     {[][]byte{file, gap}, ErrSequence, "from 25 to 30"},
		"another type of keys":      {[][]byte{base(t, codecFor[int, int](t), visits, New[int, int](keysOf[int](t), nil))}, ErrTypes, "int to int"},
		"another type of values":    {[][]byte{base(t, codecFor[string, bool](t), visits, New[string, bool](keysOf[string](t), nil))}, ErrTypes, "string to bool"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := c.Build(New[string, int](KeysOf(c.Key), nil), visits, readers(test.files...)...)
			if !errors.Is(err, test.want) || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v\nwant %v, which says %s", err, test.want, test.says)
			}
		})
	}
}

// twice returns a base with one key twice.
func twice(t *testing.T, c Codec[string, int]) []byte {
	t.Helper()
	var b bytes.Buffer
	h := visits
	h.Base, h.Entries = true, 2
	err := c.write(&b, h, func(put func(string, int, int64) bool, _ func(string, int64) bool) {
		put("key", 1, 1)
		put("key", 2, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// lastFrame returns the number of a file's last frame.
func lastFrame(t *testing.T, file []byte) (n int) {
	t.Helper()
	for i := range math.MaxInt {
		called := false
		reframed(t, file, i, func(b []byte) []byte { called = true; return b })
		if !called {
			return i - 1
		}
	}
	return n
}

// TestEveryCut: no file that is cut off is taken for a whole one.
func TestEveryCut(t *testing.T) {
	c := codecFor[int, int](t)
	edit := New[int, int](KeysOf(c.Key), nil).Edit()
	for k := range 300 {
		edit.Put(k, k, int64(k))
	}
	for k := range 30 {
		edit.Remove(k, 5)
	}
	file := delta(t, c, visits, edit.Commit(), 2)
	for n := range file {
		f, err := NewReader(bytes.NewReader(file[:n]))
		if err == nil {
			err = c.Read(f, func(int, int, int64) error { return nil }, func(int, int64) error { return nil })
		}
		if !errors.Is(err, ErrTruncated) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(file), err)
		}
	}
}

// TestLyingLength: a frame that says that it is long takes no memory.
func TestLyingLength(t *testing.T) {
	file := appendPreamble(nil)
	file = frame.Frame{Data: make([]byte, frame.MaxRaw)}.AppendHeader(file)
	file = append(file, "short"...)
	packed := append(appendPreamble(nil), packedZeros()...)
	for _, file := range [][]byte{file, packed} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := NewReader(bytes.NewReader(file))
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 1<<20 {
			t.Errorf("it takes %d bytes: %v", took, err)
		}
	}
}

// packedZeros is a frame of few bytes that unpack to many.
func packedZeros() []byte {
	var scratch []byte
	fr := frame.Pack(&scratch, make([]byte, 64<<20))
	return append(fr.AppendHeader(nil), fr.Data...)
}

// TestFailingFile: errors of the file are passed on.
func TestFailingFile(t *testing.T) {
	c := codecFor[int, int](t)
	edit := New[int, int](KeysOf(c.Key), nil).Edit()
	for k := range 100_000 {
		edit.Put(k, k, 1)
	}
	table := edit.Commit()
	broken := errors.New("the disk is broken")
	file := base(t, c, visits, table)
	for _, n := range []int{0, 20, len(file) / 2, len(file)} {
		in := io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken))
		if _, _, err := c.Build(New[int, int](KeysOf(c.Key), nil), visits, in); !errors.Is(err, broken) {
			t.Errorf("reading: %v", err)
		}
	}
	for n := range 4 {
		out := &failing{left: n, err: broken}
		if err := c.WriteBase(out, visits, table); !errors.Is(err, broken) {
			t.Errorf("writing: %v", err)
		}
		if out.left < -1 {
			t.Error("it goes on writing after an error")
		}
	}
	stop := errors.New("stop")
	f, err := NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Read(f, func(int, int, int64) error { return stop }, nil); !errors.Is(err, stop) {
		t.Errorf("put's error became %v", err)
	}
}

// failing is a writer that fails after a few writes.
type failing struct {
	left int
	err  error
}

func (f *failing) Write(b []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, f.err
	}
	return len(b), nil
}

// TestUnencodable: types and values without an encoding are named.
func TestUnencodable(t *testing.T) {
	if _, err := CodecFor[string, chan int](); err == nil || !strings.Contains(err.Error(), "chan int") {
		t.Error(err)
	}
	if _, err := CodecFor[*int, int](); err == nil || !strings.Contains(err.Error(), "*int") {
		t.Error(err)
	}
	type deep struct{ Next *deep }
	var loop deep
	loop.Next = &loop
	c := codecFor[string, deep](t)
	edit := New[string, deep](KeysOf(c.Key), nil).Edit()
	edit.Put("the culprit", loop, 1)
	if err := c.WriteBase(io.Discard, visits, edit.Commit()); err == nil || !strings.Contains(err.Error(), "the culprit") {
		t.Errorf("a value that holds itself: %v", err)
	}
}

// FuzzReader reads files of any bytes.
func FuzzReader(f *testing.F) {
	c := codecFor[string, int](f)
	edit := New[string, int](KeysOf(c.Key), nil).Edit()
	for k := range 50 {
		edit.Put(strconv.Itoa(k), k, int64(k))
	}
	for k := range 20 {
		edit.Remove(strconv.Itoa(k), int64(k))
	}
	table := edit.Commit()
	file := base(f, c, visits, table)
	f.Add(file, uint16(0), false)
	f.Add(delta(f, c, visits, table, 3), uint16(0), false)
	f.Add(file[:len(file)-9], uint16(90), true)
	f.Fuzz(func(t *testing.T, b []byte, at uint16, wrap bool) {
		if wrap { // what is behind at becomes a frame of its own, else no fuzzer gets past the checksums
			cut := min(int(at), len(b))
			fr := frame.Frame{Data: b[cut:], Sum: frame.Checksum(b[cut:])}
			whole := base(t, c, visits, table)
			n := preamble + frame.HeaderSize + int(binary.LittleEndian.Uint32(whole[preamble:]))
			b = append(fr.AppendHeader(slices.Clone(whole[:n])), b[cut:]...)
		}
		r, err := NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		n := 0
		count := func() error { n++; return nil }
		err = c.Read(r, func(string, int, int64) error { return count() }, func(string, int64) error { return count() })
		if h := r.Header(); err == nil && n != h.Total() {
			t.Errorf("%d changes of %s", n, h)
		}
	})
}
