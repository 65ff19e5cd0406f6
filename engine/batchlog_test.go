package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/internal/plan"
)

// logs are the batch logs that every test runs on; reopen closes a log and
// opens it again where that is possible.
func logs(t *testing.T) map[string]func(t *testing.T) (open func() plan.Log, durable bool) {
	return map[string]func(t *testing.T) (func() plan.Log, bool){
		"memory": func(*testing.T) (func() plan.Log, bool) {
			l := NewMemoryLog()
			return func() plan.Log { return l }, false
		},
		"directory": func(t *testing.T) (func() plan.Log, bool) {
			dir := t.TempDir()
			return func() plan.Log { return mustOpen(t, dir) }, true
		},
	}
}

func mustOpen(t *testing.T, dir string) *dirLog {
	t.Helper()
	l, err := OpenDirLog(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return l.(*dirLog)
}

func allocation(seq uint64) *plan.Allocation {
	return &plan.Allocation{
		Format: plan.AllocationFormat, Incarnation: 9, Epoch: 1, Seq: seq, TimeNanos: int64(seq) * 1e9,
		Inputs: []plan.InputAllocation{{DStream: 1, Ranges: []byte{byte(seq)}, Records: int64(seq)}},
	}
}

func TestBatchLog(t *testing.T) {
	ctx := context.Background()
	for name, make := range logs(t) {
		t.Run(name, func(t *testing.T) {
			open, durable := make(t)
			l := open()
			header := plan.JobHeader{App: "count", Incarnation: 9, Fingerprint: 1, Parallelism: 2, Graph: []string{"a"}}
			epoch, err := l.Start(ctx, header)
			if err != nil || epoch != 1 {
				t.Fatal(epoch, err)
			}
			must(t, l.RecordValue(ctx, plan.NamedValue{Name: "now", Data: []byte{1}}))
			for seq := uint64(1); seq <= 3; seq++ {
				must(t, l.Allocate(ctx, allocation(seq)))
			}
			must(t, l.Complete(ctx, plan.Completion{Seq: 1, Output: plan.BatchDone}))
			must(t, l.Complete(ctx, plan.Completion{Seq: 2, Output: 1}))
			must(t, l.Complete(ctx, plan.Completion{Seq: 2, Output: 0}))
			must(t, l.Complete(ctx, plan.Completion{Seq: 2, Output: 0}))
			want, err := l.Recover(ctx)
			must(t, err)
			if want.Last.Seq != 3 || len(want.Incomplete) != 2 || !slices.Equal(want.Incomplete[0].Done, []int32{0, 1}) || want.Epoch != 1 {
				t.Errorf("%+v", want)
			}
			if !durable {
				return
			}
			must(t, l.Close())
			l = open()
			got, err := l.Recover(ctx)
			must(t, err)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if epoch, err := l.Start(ctx, header); err != nil || epoch != 2 {
				t.Error(epoch, err)
			}
			must(t, l.Close())
		})
	}
}

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
	_, err := l.Start(ctx, plan.JobHeader{App: "a", Incarnation: 9})
	must(t, err)
	const batches = 5
	for seq := uint64(1); seq <= batches; seq++ {
		must(t, l.Allocate(ctx, allocation(seq)))
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
			s, _ := l.Recover(ctx)
			seq := uint64(0)
			if s.Last != nil {
				seq = s.Last.Seq
			}
			if seq < last {
				t.Fatalf("cut at %d, %d zeros: batch %d, a shorter file had %d", cut, zeros, seq, last)
			}
			last = seq
			must(t, l.Allocate(ctx, allocation(seq+1)))
			must(t, l.Close())
			l = mustOpen(t, dir)
			if s, _ := l.Recover(ctx); s.Last.Seq != seq+1 {
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
		must(t, l.Allocate(ctx, allocation(seq)))
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
		_, err := OpenDirLog(dir, slog.New(slog.DiscardHandler))
		if !errors.Is(err, ErrCorruptLog) && !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), c.where) {
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
	if _, err := OpenDirLog(dir, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrLocked) {
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
	_, err := l.Start(ctx, plan.JobHeader{App: "a", Incarnation: 9})
	must(t, err)
	for seq := uint64(1); seq <= 300; seq++ {
		must(t, l.Allocate(ctx, allocation(seq)))
		for back := range uint64(3) {
			if seq > back && rnd.IntN(2) == 0 {
				must(t, l.Complete(ctx, plan.Completion{Seq: seq - back, Output: plan.BatchDone}))
			}
		}
		if seq > 3 {
			must(t, l.Complete(ctx, plan.Completion{Seq: seq - 3, Output: plan.BatchDone}))
		}
	}
	want, _ := l.Recover(ctx)
	if l.number < 10 {
		t.Errorf("only %d segments were made", l.number)
	}
	must(t, l.Close())
	files, _ := filepath.Glob(filepath.Join(dir, "batches-*"))
	if len(files) != 1 {
		t.Errorf("%d files are left", len(files))
	}
	l = mustOpen(t, dir)
	got, _ := l.Recover(ctx)
	if fmt.Sprintf("%+v", summary(got)) != fmt.Sprintf("%+v", summary(want)) {
		t.Errorf("got %+v, want %+v", summary(got), summary(want))
	}
	must(t, l.Close())
}

func summary(s plan.LogState) []uint64 {
	seqs := []uint64{s.Last.Seq, s.Epoch}
	for _, p := range s.Incomplete {
		seqs = append(seqs, p.Allocation.Seq)
	}
	return seqs
}

func TestFullDisk(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	must(t, l.Allocate(ctx, allocation(1)))
	real := l.segment
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no /dev/full on this system")
	}
	l.segment = full
	if err := l.Allocate(ctx, allocation(2)); err == nil {
		t.Error("a full disk went unnoticed")
	}
	if err := l.Complete(ctx, plan.Completion{Seq: 1, Output: 0}); err == nil {
		t.Error("the log goes on after an error")
	}
	l.segment = real
	must(t, l.Close())
	l = mustOpen(t, dir)
	if s, _ := l.Recover(ctx); s.Last.Seq != 1 {
		t.Errorf("%+v", s)
	}
	must(t, l.Close())
}

func FuzzReadFrames(f *testing.F) {
	e, _ := encodeEntries([]logEntry{{Value: &plan.NamedValue{Name: "a", Data: []byte{1}}}, {Completion: &plan.Completion{Seq: 1, Output: 2}}})
	f.Add(append([]byte(logMagic), e...))
	f.Add([]byte(logMagic))
	f.Add(append(append([]byte(logMagic), e[:len(e)-3]...), make([]byte, 20)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := &dirLog{}
		n, err := readFrames(b, l.apply)
		if n < 0 || n > int64(len(b)) || (err == nil && n < int64(len(logMagic))) {
			t.Errorf("%d of %d bytes are whole, %v", n, len(b), err)
		}
	})
}

func FuzzDecodeAllocation(f *testing.F) {
	b, _ := allocation(3).Encode()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := plan.DecodeAllocation(b); err == nil && a.Format != plan.AllocationFormat {
			t.Error("an unknown format was taken")
		}
	})
}
