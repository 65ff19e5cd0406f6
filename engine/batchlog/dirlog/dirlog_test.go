package dirlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/batchlog"
)

func mustOpen(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// allocation is the allocation of a batch, whatever that is.
func allocation(seq uint64) []byte { return fmt.Appendf(bytes.Repeat([]byte{7}, 60), "batch %d", seq) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A log that is cut off anywhere, as a crash may cut it, opens with a prefix of
// what was written.
func TestTornLog(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	_, err := l.Start(ctx, []byte("header"))
	must(t, err)
	const batches = 5
	for seq := uint64(1); seq <= batches; seq++ {
		must(t, l.Allocate(ctx, batchlog.Batch{Seq: seq, Data: allocation(seq)}))
	}
	file := l.path(l.number)
	must(t, l.Close())
	whole, err := os.ReadFile(file)
	must(t, err)
	for _, zeros := range []int{0, 1, 5000} { // the file was extended, its data not written
		var last uint64
		for cut := len(logMagic); cut <= len(whole); cut++ {
			must(t, os.WriteFile(file, append(slices.Clone(whole[:cut]), make([]byte, zeros)...), 0o600))
			l := mustOpen(t, dir)
			s, _, _ := l.Recover(ctx)
			seq := s.Last.Seq
			if seq < last {
				t.Fatalf("cut at %d, %d zeros: batch %d, a shorter file had %d", cut, zeros, seq, last)
			}
			last = seq
			must(t, l.Allocate(ctx, batchlog.Batch{Seq: seq + 1, Data: allocation(seq + 1)}))
			must(t, l.Close())
			l = mustOpen(t, dir)
			if s, _, _ := l.Recover(ctx); s.Last.Seq != seq+1 {
				t.Fatalf("cut at %d, %d zeros: batch %d was lost", cut, zeros, seq+1)
			}
			must(t, l.Close())
		}
		if last != batches {
			t.Errorf("the whole log with %d zeros has %d batches", zeros, last)
		}
	}
}

func TestDamagedLog(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	for seq := uint64(1); seq <= 3; seq++ {
		must(t, l.Allocate(ctx, batchlog.Batch{Seq: seq, Data: allocation(seq)}))
	}
	file := l.path(l.number)
	must(t, l.Close())
	whole, err := os.ReadFile(file)
	must(t, err)
	first := fmt.Sprintf("entry at offset %d", len(logMagic))
	for name, c := range map[string]struct {
		b     []byte
		where string
	}{
		"a flipped bit":                 {flip(whole, len(logMagic)+frameHead+3), first},
		"zeros where an entry was":      {zero(whole, len(logMagic)+frameHead+3, 9), first},
		"zeros where a whole entry was": {zero(whole, len(logMagic), 64), first},
		"another file":                  {[]byte("not a log at all, surely"), ""},
		"an empty file":                 {[]byte{}, ""},
		"an unknown entry":              {appendFrame(slices.Clone(whole), []byte{0x80}), fmt.Sprintf("entry at offset %d", len(whole))},
	} {
		must(t, os.WriteFile(file, c.b, 0o600))
		_, err := Open(dir, slog.New(slog.DiscardHandler))
		if !errors.Is(err, batchlog.ErrCorrupt) && !errors.Is(err, batchlog.ErrFormat) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), c.where) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func flip(b []byte, at int) []byte {
	b = slices.Clone(b)
	b[at] ^= 4
	return b
}

// zero returns b with n bytes from at set to 0.
func zero(b []byte, at, n int) []byte {
	b = slices.Clone(b)
	clear(b[at : at+n])
	return b
}

func TestLogIsLocked(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir)
	if _, err := Open(dir, slog.New(slog.DiscardHandler)); !errors.Is(err, batchlog.ErrLocked) {
		t.Error(err)
	}
	must(t, l.Close())
	must(t, mustOpen(t, dir).Close())
}

// Segments are replaced as the log grows, and the state survives it.
func TestLogStaysSmall(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	l.limit = 2000
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	_, err := l.Start(ctx, []byte("header"))
	must(t, err)
	for seq := uint64(1); seq <= 300; seq++ {
		must(t, l.Allocate(ctx, batchlog.Batch{Seq: seq, Data: allocation(seq), Keep: seq - min(seq, 6)}))
		for back := range uint64(3) {
			if seq > back && rnd.IntN(2) == 0 {
				must(t, l.Complete(ctx, batchlog.Completion{Seq: seq - back, Output: batchlog.AllOutputs}))
			}
		}
		if seq > 3 {
			must(t, l.Complete(ctx, batchlog.Completion{Seq: seq - 3, Output: batchlog.AllOutputs}))
		}
	}
	want, _, _ := l.Recover(ctx)
	if l.number < 10 {
		t.Errorf("only %d segments were made", l.number)
	}
	must(t, l.Close())
	files, _ := filepath.Glob(filepath.Join(dir, "batches-*"))
	if len(files) != 1 {
		t.Errorf("%d files are left", len(files))
	}
	l = mustOpen(t, dir)
	got, _, _ := l.Recover(ctx)
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) || len(got.Past) < 3 {
		t.Errorf("got %+v, want %+v", got, want)
	}
	must(t, l.Close())
}

// What batches reach back to survives a restart, and a segment that is replaced, with what
// is to be kept.
func TestPastIsKept(t *testing.T) {
	ctx := context.Background()
	for name, limit := range map[string]int64{"one segment": 1 << 20, "a segment for each batch": 1} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := mustOpen(t, dir)
			l.limit = limit
			for seq := uint64(1); seq <= 5; seq++ {
				must(t, l.Allocate(ctx, batchlog.Batch{Seq: seq, Data: allocation(seq), Keep: max(1, seq-min(seq, 2))}))
				if seq < 5 {
					must(t, l.Complete(ctx, batchlog.Completion{Seq: seq, Output: batchlog.AllOutputs}))
				}
			}
			must(t, l.Close())
			l = mustOpen(t, dir)
			s, _, err := l.Recover(ctx)
			must(t, err)
			if len(s.Past) != 2 || s.Past[0].Seq != 3 || !bytes.Equal(s.Past[1].Data, allocation(4)) || len(s.Pending) != 1 || s.Last.Keep != 3 {
				t.Errorf("%+v", s)
			}
			must(t, l.Complete(ctx, batchlog.Completion{Seq: 5, Output: batchlog.AllOutputs}))
			if s, _, _ = l.Recover(ctx); len(s.Past) != 3 || s.Past[2].Seq != 5 {
				t.Errorf("the batch that was unfinished isn't kept: %+v", s)
			}
			must(t, l.Allocate(ctx, batchlog.Batch{Seq: 6, Data: allocation(6)}))
			if s, _, _ = l.Recover(ctx); len(s.Past) != 0 {
				t.Errorf("none reaches back: %+v", s)
			}
			must(t, l.Close())
		})
	}
}

func TestFullDisk(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	must(t, l.Allocate(ctx, batchlog.Batch{Seq: 1, Data: allocation(1)}))
	real := l.segment
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no /dev/full on this system")
	}
	l.segment = full
	if err := l.Allocate(ctx, batchlog.Batch{Seq: 2, Data: allocation(2)}); err == nil {
		t.Error("a full disk went unnoticed")
	}
	if err := l.Complete(ctx, batchlog.Completion{Seq: 1, Output: 0}); err == nil {
		t.Error("the log goes on after an error")
	}
	l.segment = real
	must(t, l.Close())
	l = mustOpen(t, dir)
	if s, _, _ := l.Recover(ctx); s.Last.Seq != 1 {
		t.Errorf("%+v", s)
	}
	must(t, l.Close())
}

func FuzzReadFrames(f *testing.F) {
	e, _ := encodeEntries([]entry{{Value: &batchlog.Value{Name: "a", Data: []byte{1}}}, {Completion: &batchlog.Completion{Seq: 1, Output: 2}}})
	f.Add(append([]byte(logMagic), e...))
	f.Add([]byte(logMagic))
	f.Add([]byte(logMagicOld))
	f.Add(append(append([]byte(logMagic), e[:len(e)-3]...), make([]byte, 20)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s batchlog.State
		var epoch uint64
		r := reader{&s, &epoch}
		n, err := readFrames(b, r.apply, r.applyOld)
		if n < 0 || n > int64(len(b)) || (err == nil && n < int64(len(logMagic))) {
			t.Errorf("%d of %d bytes are whole, %v", n, len(b), err)
		}
	})
}

// What was recorded for a job that never planned a batch doesn't outlive its process: it
// may be what kept the job from planning.
func TestUnusedLogBeginsAnew(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir)
	must(t, l.RecordValue(t.Context(), batchlog.Value{Name: "offsets", Data: []byte{1}}))
	if _, err := l.Start(t.Context(), []byte("header")); err != nil {
		t.Fatal(err)
	}
	must(t, l.Close())
	l = mustOpen(t, dir)
	s, _, err := l.Recover(t.Context())
	if err != nil || len(s.Values) > 0 || len(s.Header) > 0 {
		t.Errorf("%+v, %v", s, err)
	}
	must(t, l.RecordValue(t.Context(), batchlog.Value{Name: "offsets", Data: []byte{2}}))
	if _, err := l.Start(t.Context(), []byte("header")); err != nil {
		t.Fatal(err)
	}
	must(t, l.Allocate(t.Context(), batchlog.Batch{Seq: 1, Data: []byte("batch")}))
	must(t, l.Close())
	l = mustOpen(t, dir)
	s, _, err = l.Recover(t.Context())
	if err != nil || len(s.Values) != 1 || s.Values[0].Data[0] != 2 || s.Last.Seq != 1 {
		t.Errorf("after a batch: %+v, %v", s, err)
	}
	must(t, l.Close())
}

// A job that is refused before it has begun leaves the place as it was.
func TestRefusedJobLeavesNothing(t *testing.T) {
	parent := t.TempDir()
	for _, x := range []struct {
		name  string
		begun bool // the job
		there []string
		left  []string // after the log was closed
	}{
		{"a new directory", false, nil, nil},
		{"a directory with other files", false, []string{"notes"}, []string{"notes"}},
		{"a job that has begun", true, nil, []string{"batches-00000001.log", "lock"}},
		{"a log of an earlier process", false, []string{"batches-00000007.log"}, []string{"batches-00000007.log", "lock"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir := filepath.Join(parent, x.name)
			for _, file := range x.there {
				must(t, os.MkdirAll(dir, 0o700))
				must(t, os.WriteFile(filepath.Join(dir, file), []byte(logMagic), 0o600))
			}
			l := mustOpen(t, dir)
			must(t, l.RecordValue(t.Context(), batchlog.Value{Name: "seed", Data: []byte{1}}))
			if x.begun {
				_, err := l.Start(t.Context(), []byte("header"))
				must(t, err)
			}
			must(t, l.Close())
			entries, err := os.ReadDir(dir)
			if gone := errors.Is(err, fs.ErrNotExist); gone != (x.left == nil) || err != nil && !gone {
				t.Fatal(err)
			}
			var left []string
			for _, e := range entries {
				left = append(left, e.Name())
			}
			if !slices.Equal(left, x.left) {
				t.Errorf("there are %q", left)
			}
			must(t, mustOpen(t, dir).Close())
		})
	}
}
