package dirlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/engine/batchlog"
)

// appendFrameOld appends a frame of the first format.
func appendFrameOld(dst, payload []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.BigEndian.AppendUint32(dst, checksum(payload))
	return append(dst, payload...)
}

// writtenLog returns a directory with a log of some batches, its file and what
// the file holds.
func writtenLog(t *testing.T) (dir, file string, b []byte) {
	t.Helper()
	ctx := context.Background()
	dir = t.TempDir()
	l := mustOpen(t, dir)
	_, err := l.Start(ctx, []byte("header"))
	must(t, err)
	for seq := uint64(1); seq <= 4; seq++ {
		must(t, l.Allocate(ctx, batchlog.Batch{Seq: seq, Data: allocation(seq)}))
		must(t, l.Complete(ctx, batchlog.Completion{Seq: seq, Output: batchlog.AllOutputs}))
	}
	file = l.path(l.number)
	must(t, l.Close())
	b, err = os.ReadFile(file)
	must(t, err)
	return dir, file, b
}

// asOld returns a segment in the first format, as it was written then, and where
// its entries begin.
func asOld(t *testing.T, b []byte) (old []byte, entries []int) {
	t.Helper()
	old = []byte(logMagicOld)
	_, err := readFrames(b, func(payload []byte) error {
		var e entry
		must(t, msgpack.Unmarshal(payload, &e))
		was := make(map[string]any)
		switch {
		case e.Header != nil:
			was["h"], was["e"] = map[string]string{"app": string(e.Header)}, e.Epoch
		case e.Batch != nil:
			a, err := msgpack.Marshal(map[string]any{"v": 1, "seq": e.Batch.Seq, "epoch": e.Batch.Epoch})
			must(t, err)
			was["a"] = a
		case e.Completion != nil:
			was["c"] = map[string]any{"seq": e.Completion.Seq, "out": e.Completion.Output}
		}
		b, err := msgpack.Marshal(was)
		must(t, err)
		entries = append(entries, len(old))
		old = appendFrameOld(old, b)
		return nil
	}, nil)
	must(t, err)
	return old, entries
}

func nothing([]byte) error { return nil }

// refused opens a log that is damaged at some offset: it must be called that and
// left as it is.
func refused(t *testing.T, dir, file string, b []byte, at int) {
	t.Helper()
	must(t, os.WriteFile(file, b, 0o600))
	l, err := Open(dir, slog.New(slog.DiscardHandler))
	if err == nil {
		_ = l.Close()
	}
	if !errors.Is(err, batchlog.ErrCorrupt) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "left as it is") {
		t.Fatalf("damaged at %d: %v", at, err)
	}
	if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, b) {
		t.Fatalf("damaged at %d: the file was changed, %v", at, err)
	}
}

// damaged flips every bit of a segment up to some place: none is taken for the end
// that a crash leaves. The file of a log that is opened with one stays as it is.
func damaged(t *testing.T, dir, file string, whole []byte, until int) {
	t.Helper()
	for at := len(logMagic); at < until; at++ {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[at] ^= 1 << bit
			if _, err := readFrames(b, nothing, nothing); !errors.Is(err, batchlog.ErrCorrupt) {
				t.Fatalf("bit %d of byte %d: %v", bit, at, err)
			}
			if at%20 == 0 && bit == at/20%8 {
				refused(t, dir, file, b, at)
			}
		}
	}
}

func TestFlippedBit(t *testing.T) {
	dir, file, whole := writtenLog(t)
	damaged(t, dir, file, whole, len(whole))
}

// In the first format a length is known to be damaged by what follows the entry.
func TestFlippedBitInOldLog(t *testing.T) {
	dir, file, whole := writtenLog(t)
	old, entries := asOld(t, whole)
	damaged(t, dir, file, old, entries[len(entries)-1])
}

// A log of the first format is read, also if a crash cut it off, and goes on in
// the second.
func TestOldLog(t *testing.T) {
	ctx := context.Background()
	dir, file, whole := writtenLog(t)
	old, entries := asOld(t, whole)
	for cut := len(old); cut >= len(logMagicOld); cut -= 23 {
		for _, zeros := range []int{0, 9} {
			must(t, os.WriteFile(file, append(bytes.Clone(old[:cut]), make([]byte, zeros)...), 0o600))
			l := mustOpen(t, dir)
			s, epoch, _ := l.Recover(ctx)
			n := 0
			for n < len(entries)-1 && entries[n+1] <= cut { // whole ones
				n++
			}
			seq := s.Last.Seq
			if want := uint64(n / 2); cut < len(old) && seq != want {
				t.Errorf("cut at %d: batch %d, want %d", cut, seq, want)
			}
			if cut == len(old) && (seq != 4 || len(s.Pending) > 0 || epoch != 1 || s.Last.Epoch != 1 || !bytes.Contains(s.Header, []byte("header"))) {
				t.Errorf("%+v, epoch %d", s, epoch)
			}
			must(t, l.Allocate(ctx, batchlog.Batch{Seq: seq + 1, Data: allocation(seq + 1)}))
			now := l.path(l.number)
			must(t, l.Close())
			if b, err := os.ReadFile(now); err != nil || !strings.HasPrefix(string(b), logMagic) || now == file {
				t.Fatalf("it goes on in %s, which begins with %.20q, %v", now, b, err)
			}
			if files, _ := filepath.Glob(filepath.Join(dir, "batches-*")); len(files) != 1 {
				t.Fatalf("%q are left", files)
			}
			must(t, os.Remove(now))
		}
	}
}

// A segment of a later version isn't damaged.
func TestNewerLog(t *testing.T) {
	dir, file, whole := writtenLog(t)
	must(t, os.WriteFile(file, append([]byte(logFormat+"3\n"), whole[len(logMagic):]...), 0o600))
	if _, err := Open(dir, slog.New(slog.DiscardHandler)); !errors.Is(err, batchlog.ErrFormat) || !strings.Contains(err.Error(), "newer") {
		t.Error(err)
	}
}

// The segment before a damaged one stays: its replacement was interrupted, and it
// is what can be restored from.
func TestSegmentBeforeADamagedOneStays(t *testing.T) {
	dir, file, whole := writtenLog(t)
	next := filepath.Join(dir, "batches-00000002.log")
	refused(t, dir, next, flip(whole, len(whole)-3), len(whole)-3)
	if b, err := os.ReadFile(file); err != nil || !bytes.Equal(b, whole) {
		t.Error("the older segment is gone", err)
	}
	must(t, os.WriteFile(next, whole, 0o600))
	must(t, mustOpen(t, dir).Close())
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Error("the older segment stays", err)
	}
}

// What can't be read back isn't written.
func TestEntryTooLarge(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	l := mustOpen(t, dir)
	if err := l.RecordValue(ctx, batchlog.Value{Name: "big", Data: make([]byte, maxFrame)}); err == nil || !strings.Contains(err.Error(), "are allowed") {
		t.Error(err)
	}
	must(t, l.Allocate(ctx, batchlog.Batch{Seq: 1, Data: allocation(1)}))
	must(t, l.Close())
	l = mustOpen(t, dir)
	if s, _, _ := l.Recover(ctx); s.Last.Seq != 1 || len(s.Values) > 0 {
		t.Errorf("%+v", s)
	}
	must(t, l.Close())
}
