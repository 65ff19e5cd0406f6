package segments

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// opened opens a log, which the test's end closes.
func opened(t *testing.T, dir string, most int64) *Log {
	t.Helper()
	l, err := Open(Options{Dir: dir, Most: most, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// readAll returns the records behind a position, and the position behind them.
func readAll(t *testing.T, l *Log, from Position) (records []string, until Position) {
	t.Helper()
	parts, until, left, err := l.Cut(from, 0, 3)
	if err != nil || left != 0 {
		t.Fatalf("%d are left, %v", left, err)
	}
	return readParts(t, l, parts), until
}

// readParts returns the records of parts.
func readParts(t *testing.T, l *Log, parts []Part) (records []string) {
	t.Helper()
	for _, p := range parts {
		for r, err := range Read(l.options.Dir, p) {
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, string(r))
		}
	}
	return records
}

// appended appends texts.
func appended(t *testing.T, l *Log, texts ...string) {
	t.Helper()
	var records [][]byte
	for _, text := range texts {
		records = append(records, []byte(text))
	}
	if err := l.Append(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
}

// Whatever is appended, cut, released and opened again, records are read once and in order.
func TestLog(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(11, seed))
		dir := t.TempDir()
		l := opened(t, dir, 1<<20)
		at, next, read := l.Begin(), 0, 0
		for range 150 {
			switch random.IntN(6) {
			case 0, 1, 2:
				var texts []string
				for range random.IntN(20) {
					texts = append(texts, fmt.Sprint(next, strings.Repeat(" ", random.IntN(1000))))
					next++
				}
				if l.size() < 1<<19 {
					appended(t, l, texts...)
				} else {
					next -= len(texts)
				}
			case 3, 4:
				budget, parts := float64(random.IntN(200)), 1+random.IntN(4)
				cut, until, left, err := l.Cut(at, budget, parts)
				if err != nil {
					t.Fatal(err)
				}
				records := readParts(t, l, cut)
				for i, r := range records {
					if !strings.HasPrefix(r+" ", fmt.Sprint(read+i, " ")) {
						t.Fatalf("record %d is %.20q", read+i, r)
					}
				}
				if read += len(records); until.Record != int64(read) || left != int64(next-read) {
					t.Fatalf("%d of %d are read, the place is %+v with %d left", read, next, until, left)
				}
				at = until
				if random.IntN(2) == 0 {
					if err := l.Release(at.Record); err != nil {
						t.Fatal(err)
					}
				}
			case 5:
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				l = opened(t, dir, 1<<20)
			}
		}
	}
}

// A batch's parts are about as many as are asked for, and its records about as many.
func TestCut(t *testing.T) {
	l := opened(t, t.TempDir(), 100<<20)
	for range 40 {
		appended(t, l, strings.Repeat("x", stretch/2))
	}
	for _, c := range []struct {
		records float64
		parts   int
		cut     int
		until   int64
	}{{0, 4, 4, 40}, {0, 1, 1, 40}, {0, 100, 20, 40}, {8, 4, 4, 8}, {0.5, 4, 1, 2}, {7, 1, 1, 6}} {
		cut, until, left, err := l.Cut(l.Begin(), c.records, c.parts)
		if err != nil || len(cut) != c.cut || until.Record != c.until || left != 40-c.until {
			t.Errorf("%+v: %d parts up to %d, %d left, %v", c, len(cut), until.Record, left, err)
		}
	}
	if cut, until, _, err := opened(t, t.TempDir(), 1<<20).Cut(Position{0, 0, int64(len(head))}, 0, 2); len(cut) > 0 || until.Record != 0 || err != nil {
		t.Errorf("an empty log: %v, %v, %v", cut, until, err)
	}
}

// What a crash left half written at the end is cut off, wherever it is cut; what is before stays,
// and what is appended then is behind it.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	l := opened(t, dir, 1<<20)
	appended(t, l, "a", "b")
	appended(t, l, "")
	appended(t, l, "c")
	whole := l.last().end().bytes
	file := l.path(0)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil || int64(len(data)) != whole {
		t.Fatal(len(data), err)
	}
	for n := range len(data) + 3 {
		torn := append(slices.Clone(data[:min(n, len(data))]), make([]byte, n%3)...) // zeros, as of a file that had grown
		if n == len(data)+1 {
			torn = append(slices.Clone(data), 0xff)
		}
		if err := os.WriteFile(file, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		l := opened(t, dir, 1<<20)
		appended(t, l, "new")
		got, _ := readAll(t, l, l.Begin())
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		all := []string{"a", "b", "", "c"}
		before := got[:max(0, len(got)-1)]
		if len(got) == 0 || got[len(got)-1] != "new" || !slices.Equal(before, all[:len(before)]) || n >= len(data) && len(before) != 4 {
			t.Errorf("of %d bytes: %q", n, got)
		}
	}
}

// A segment that isn't what was written, but for the end of the last, is an error: nothing is
// taken for less than it was.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	l := opened(t, dir, 1<<20)
	for range 8 {
		appended(t, l, strings.Repeat("x", 100_000))
	}
	if len(l.segments) < 3 {
		t.Fatalf("%d segments", len(l.segments))
	}
	parts, until, _, err := l.Cut(l.Begin(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	second := l.path(l.segments[1].first)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(second)
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(data)
	flipped[5000] ^= 1
	for name, damage := range map[string]func() error{
		"a bit":       func() error { return os.WriteFile(second, flipped, 0o600) },
		"cut off":     func() error { return os.WriteFile(second, data[:len(data)-100_000], 0o600) },
		"a frame off": func() error { return os.WriteFile(second, data[:len(head)], 0o600) },
		"gone":        func() error { return os.Remove(second) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if l, err := Open(Options{Dir: dir, Most: 1 << 20, Logger: slog.New(slog.DiscardHandler)}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				_ = l.Close()
			}
		}
		failed := false
		for _, p := range parts {
			for _, err := range Read(dir, p) {
				if err != nil {
					failed = true
					if !strings.Contains(err.Error(), filepath.Base(second)) {
						t.Errorf("%s: %v", name, err)
					}
				}
			}
		}
		if !failed {
			t.Errorf("%s: all is read", name)
		}
		if err := os.WriteFile(second, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The end of the last segment is lost that batches were planned of.
	if err := os.Truncate(segmentPath(dir, until.Segment), int64(len(head))); err != nil {
		t.Fatal(err)
	}
	l = opened(t, dir, 1<<20)
	if _, _, _, err := l.Cut(until, 0, 1); !errors.Is(err, ErrDamaged) {
		t.Errorf("the end is lost: %v", err)
	}
	if _, _, _, err := l.Cut(Position{99, 98, 50}, 0, 1); !errors.Is(err, ErrDamaged) {
		t.Errorf("a place that isn't there: %v", err)
	}
}

// A segment of another format is an error, also the last one: nothing of it is cut off.
func TestFormat(t *testing.T) {
	dir := t.TempDir()
	l := opened(t, dir, 1<<20)
	appended(t, l, "a")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	later, err := os.ReadFile(l.path(0))
	if err != nil {
		t.Fatal(err)
	}
	later[len(head)-1]++
	if err := os.WriteFile(l.path(0), later, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir, Most: 1 << 20, Logger: slog.New(slog.DiscardHandler)}); !errors.Is(err, ErrFormat) {
		t.Error(err)
	}
	if now, err := os.ReadFile(l.path(0)); err != nil || !bytes.Equal(now, later) {
		t.Errorf("%d of %d bytes are left, %v", len(now), len(later), err)
	}
}

// A full log makes who appends wait until segments are released, or for no longer than it wants.
func TestFullLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 1 << 20
		l := opened(t, t.TempDir(), most)
		record := bytes.Repeat([]byte("x"), most/16)
		n := 0
		for !l.Full() {
			if err := l.Append(t.Context(), record); err != nil {
				t.Fatal(err)
			}
			n++
		}
		if l.size() > most || n < 12 {
			t.Errorf("%d records of %d bytes in %d", n, len(record), l.size())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := l.Append(ctx, record, record); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nobody waited: %v", err)
		}
		done := make(chan error)
		go func() { done <- l.Append(t.Context(), record, record) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("nobody waits: %v", err)
		default:
		}
		if err := l.Release(int64(n) / 2); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := l.Append(t.Context(), make([]byte, most)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("a large record: %v", err)
		}
	})
}

// One process has the log.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	opened(t, dir, 1<<20)
	if _, err := Open(Options{Dir: dir, Most: 1 << 20, Logger: slog.New(slog.DiscardHandler)}); !errors.Is(err, ErrLocked) {
		t.Error(err)
	}
}

// Whatever is in a segment, it is opened up to where it isn't whole, and goes on from there; a
// second time nothing is cut off.
func FuzzSegment(f *testing.F) {
	frames, _ := appendFrame([]byte(head), [][]byte{[]byte("a"), nil})
	second, _ := appendFrame(frames, [][]byte{[]byte("b")})
	for _, seed := range [][]byte{nil, []byte(head), frames, second, append(slices.Clone(second), make([]byte, 20)...), second[:len(second)-1]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := segment{}
		err := s.read(bytes.NewReader(data), int64(len(data)))
		end := s.end()
		if end.bytes > int64(max(len(data), len(head))) || err == nil && end.bytes != int64(len(data)) {
			t.Fatalf("%d of %d bytes are whole, %v", end.bytes, len(data), err)
		}
		if len(data) < len(head) || string(data[:len(head)]) != head {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		again, _ := appendFrame(slices.Clone(data[:end.bytes]), [][]byte{[]byte("new")})
		var s2 segment
		if err := s2.read(bytes.NewReader(again), int64(len(again))); err != nil || s2.end() != (mark{int64(len(again)), end.record + 1}) {
			t.Fatalf("%+v behind %+v: %v", s2.end(), end, err)
		}
	})
}

// What couldn't be brought onto the disk stays an error, also if the disk then says that it went
// well.
func TestFailedSync(t *testing.T) {
	l, err := Open(Options{Dir: t.TempDir(), Most: 1 << 20, Durable: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	appended(t, l, "a")
	out := l.out
	if l.out, err = os.Open(os.DevNull); err != nil || l.out.Close() != nil {
		t.Fatal(err)
	}
	first := l.Sync()
	if l.out = out; first == nil || l.Sync() != first {
		t.Errorf("%v, then %v", first, l.Sync())
	}
	if err := l.Append(t.Context(), []byte("b")); err != first {
		t.Errorf("appended: %v", err)
	}
	if err := l.Close(); !errors.Is(err, first) {
		t.Errorf("closed: %v", err)
	}
}

// A log that is closed takes nothing, nor does one wait for room in it.
func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := opened(t, t.TempDir(), 1<<20)
		for !l.Full() {
			appended(t, l, strings.Repeat("x", 60_000))
		}
		waiting := make(chan error)
		go func() { waiting <- l.Append(t.Context(), make([]byte, 100_000)) }()
		synctest.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := <-waiting; !errors.Is(err, ErrClosed) {
			t.Errorf("it waited for room: %v", err)
		}
		if err := errors.Join(l.Append(t.Context(), []byte("a")), l.Sync(), l.Release(1), l.Close()); strings.Count(err.Error(), ErrClosed.Error()) != 4 {
			t.Error(err)
		}
	})
}
