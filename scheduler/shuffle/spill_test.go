package shuffle

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd/task"
	"github.com/hibana-engine/hibana/scheduler/block"
)

// content returns a block of n bytes that says whose it is.
func content(id MapID, reduce, n int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%d %d %d;", id.Batch, id.Map, reduce), n)[:n]
}

// spillable returns a store whose files are in a directory that is known.
func spillable(t *testing.T, limit int64) (s *Store, dir string) {
	t.Helper()
	dir = t.TempDir()
	kept := block.NewStore(limit, dir)
	t.Cleanup(func() {
		if err := kept.Close(); err != nil {
			t.Error(err)
		}
	})
	return NewStore(kept), dir
}

// files returns the paths of the blocks' files.
func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// where says of map tasks' outputs whether they are in memory.
func where(s *Store, batch uint64, maps ...int32) string {
	var all []string
	for _, m := range maps {
		v, _ := s.kept.Peek(s.name(MapID{Batch: batch, Map: m}))
		place := "gone"
		switch v.(type) {
		case *memoryOutput:
			place = "memory"
		case *diskOutput:
			place = "disk"
		}
		all = append(all, place)
	}
	return strings.Join(all, " ")
}

// sent puts the pieces of an output together, as a process that they are sent to does.
func sent(t *testing.T, s *Store, id MapID, reduce int) (all []byte) {
	t.Helper()
	more := false
	for p, err := range s.Pieces(id, reduce) {
		if err != nil {
			t.Fatal(err)
		}
		b, err := p.Unpack(block.PieceSize)
		if err != nil {
			t.Fatal(err)
		}
		all, more = append(all, b...), p.More
	}
	if more {
		t.Error("the last piece says that the block goes on")
	}
	return all
}

// When the budget is full the outputs that were committed first go to disk, whoever read
// them since, and are read from there.
func TestOldestGoToDisk(t *testing.T) {
	s, dir := spillable(t, 10_000)
	for m := range int32(4) {
		id := MapID{Batch: 1, Map: m}
		w := s.Writer(t.Context(), id, 2)
		for r := range 2 {
			if err := w.WriteBlock(r, content(id, r, 2000)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		blocksOf(t, s, MapID{Batch: 1}, 0)
	}
	if got := where(s, 1, 0, 1, 2, 3); got != "disk disk memory memory" {
		t.Error(got)
	}
	for m := range int32(4) {
		for r := range 2 {
			id := MapID{Batch: 1, Map: m}
			want := content(id, r, 2000)
			if got := blocksOf(t, s, id, r); got != string(want) {
				t.Errorf("map task %d, reduce partition %d: %.40q", m, r, got)
			}
			if got := sent(t, s, id, r); !bytes.Equal(got, want) {
				t.Errorf("map task %d, reduce partition %d, sent: %.40q", m, r, got)
			}
		}
	}
	if n := len(files(t, dir)); n != 2 || s.bytes() != 8000 {
		t.Errorf("%d files, %d bytes in memory", n, s.bytes())
	}
	if s.kept.Forget(2); len(files(t, dir)) != 0 || s.bytes() != 0 {
		t.Errorf("%d files, %d bytes are left", len(files(t, dir)), s.bytes())
	}
}

// One attempt may write more than the budget, in any order. It is aborted without a
// trace.
func TestWriterSpills(t *testing.T) {
	s, dir := spillable(t, 4000)
	for _, commit := range []bool{false, true} {
		id := MapID{Batch: 1}
		w := s.Writer(t.Context(), id, 3)
		want := make([][]byte, 3)
		rng := rand.New(rand.NewPCG(1, 1))
		for range 100 {
			r := rng.IntN(3)
			b := content(id, r, 1+rng.IntN(1000))
			want[r] = append(want[r], b...)
			if err := w.WriteBlock(r, b); err != nil {
				t.Fatal(err)
			}
			if s.bytes() > 4000 {
				t.Fatalf("%d bytes in memory", s.bytes())
			}
		}
		if !commit {
			if w.Abort(); s.bytes() != 0 || len(files(t, dir)) != 0 {
				t.Errorf("after the abort: %d bytes, files %v", s.bytes(), files(t, dir))
			}
			continue
		}
		sizes, err := w.Commit()
		if err != nil {
			t.Fatal(err)
		}
		for r := range 3 {
			if got := strings.ReplaceAll(blocksOf(t, s, id, r), ", ", ""); got != string(want[r]) || sizes[r] != int64(len(got)) {
				t.Errorf("reduce partition %d: %d bytes of %d", r, len(got), len(want[r]))
			}
			if got := sent(t, s, id, r); !bytes.Equal(got, want[r]) {
				t.Errorf("reduce partition %d, sent: %d bytes of %d", r, len(got), len(want[r]))
			}
		}
	}
}

// A block that is larger than a piece comes back as one.
func TestLargeBlocks(t *testing.T) {
	for name, limit := range map[string]int64{"memory": 1 << 30, "disk": 1} {
		s, _ := spillable(t, limit)
		id := MapID{Batch: 1}
		w := s.Writer(t.Context(), id, 1)
		for _, n := range []int{block.PieceSize*2 + 1, block.PieceSize, 10} {
			if err := w.WriteBlock(0, content(id, 0, n)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		if got := where(s, 1, 0); got != name {
			t.Errorf("it is in %s, not %s", got, name)
		}
		var sizes []int
		for b, err := range s.Blocks(id, 0) {
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, len(b))
		}
		if fmt.Sprint(sizes) != fmt.Sprint([]int{block.PieceSize*2 + 1, block.PieceSize, 10}) {
			t.Errorf("%s: blocks of %v bytes", name, sizes)
		}
		if n := len(sent(t, s, id, 0)); n != block.PieceSize*3+11 {
			t.Errorf("%s: %d bytes are sent", name, n)
		}
	}
}

// A spilled output that is damaged or cut off is a fetch failure of that map task, and
// nobody finds it any more.
func TestDamagedOutput(t *testing.T) {
	for name, damage := range map[string]func(b []byte) []byte{
		"a bit flipped": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"cut off":       func(b []byte) []byte { return b[:len(b)-1] },
		"empty":         func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := spillable(t, 1000)
			tracker := NewTracker()
			tracker.Register(1, 0, 2)
			for m := range int32(2) {
				id := MapID{Batch: 1, Map: m}
				w := s.Writer(t.Context(), id, 1)
				if err := w.WriteBlock(0, content(id, 0, 100+int(1-m)*2000)); err != nil {
					t.Fatal(err)
				}
				sizes, err := w.Commit()
				if err != nil {
					t.Fatal(err)
				}
				tracker.Add(id, "a", sizes, nil)
			}
			if got := where(s, 1, 0, 1); got != "disk memory" {
				t.Fatal(got)
			}
			path := files(t, dir)[0]
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			for p, err := range s.Pieces(MapID{Batch: 1}, 0) {
				if err == nil {
					t.Errorf("%d bytes were sent", len(p.Data))
				}
			}
			if got := where(s, 1, 0, 1); got != "gone memory" {
				t.Error(got)
			}
			r := readerOf(t, tracker, map[string]*Store{"a": s})
			_, err = readAll(t.Context(), r, 1, 0, 0)
			failed, ok := errors.AsType[*task.FetchFailedError](err)
			if !ok || failed.MapPartition != 0 || !errors.Is(err, ErrNoOutput) {
				t.Errorf("reading ended with %v", err)
			}
		})
	}
}

// A store whose driver was deposed drops its outputs and takes no more, beside another
// one over the same blocks.
func TestRetire(t *testing.T) {
	old := newStore(t, 1<<20)
	next := NewStore(old.kept)
	write(t, old, MapID{Batch: 1}, 1, 0)
	write(t, next, MapID{Batch: 1}, 1, 0, 0)
	late := old.Writer(t.Context(), MapID{Batch: 1, Map: 1}, 1)
	if err := late.WriteBlock(0, []byte("late")); err != nil {
		t.Fatal(err)
	}
	if old.Retire(); old.Len() != 0 || next.Len() != 1 {
		t.Errorf("%d and %d outputs are held", old.Len(), next.Len())
	}
	if _, err := late.Commit(); !errors.Is(err, ErrRetired) || old.Len() != 0 || old.bytes() != 18 {
		t.Errorf("%v; %d outputs, %d bytes", err, old.Len(), old.bytes())
	}
}
