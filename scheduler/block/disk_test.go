package block

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/rdd/task"
)

// noise returns bytes that don't shrink.
func noise(n int) []byte {
	rng := rand.New(rand.NewPCG(uint64(n), 7))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// dirs returns the directories of blocks in another.
func dirs(t *testing.T, parent string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(parent, dirPattern))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The directory is made when it is needed, for this user alone, and Close removes it.
func TestDirectory(t *testing.T) {
	parent := t.TempDir()
	s := NewStore(1<<20, parent)
	put(t, s, 1, "a", task.MemoryOnly, kb("a"))
	if got := dirs(t, parent); len(got) != 0 {
		t.Errorf("made before it was needed: %v", got)
	}
	m := s.NewTask(t.Context())
	defer m.Close()
	if _, err := m.NewRun(); err != nil {
		t.Fatal(err)
	}
	got := dirs(t, parent)
	if len(got) != 1 {
		t.Fatal(got)
	}
	if info, err := os.Stat(got[0]); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := s.Close(); err != nil || len(dirs(t, parent)) != 0 {
		t.Errorf("%v; left: %v", err, dirs(t, parent))
	}
	if _, err := s.NewTask(t.Context()).NewRun(); !errors.Is(err, ErrClosed) {
		t.Errorf("a file after Close: %v", err)
	}
}

// What a process left behind goes when the next one needs a directory; what belongs to
// one that lives stays.
func TestSweep(t *testing.T) {
	parent := t.TempDir()
	needs := func() *Disk {
		d := NewDisk(parent)
		f, err := d.NewFile()
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Finish(); err != nil {
			t.Fatal(err)
		}
		return d
	}
	alive, dead := needs(), needs()
	_ = dead.lock.Close() // as the kernel does for a process that was killed
	fresh, old, other := filepath.Join(parent, "hibana-blocks-1"), filepath.Join(parent, "hibana-blocks-2"), filepath.Join(parent, "other")
	for _, dir := range []string{fresh, old, other} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ago := time.Now().Add(-2 * unlockedFor)
	if err := errors.Join(os.Chtimes(old, ago, ago), os.Chtimes(other, ago, ago)); err != nil {
		t.Fatal(err)
	}
	next := needs()
	for dir, want := range map[string]bool{alive.dir: true, dead.dir: false, fresh: true, old: false, other: true, next.dir: true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if err := errors.Join(alive.Close(), next.Close()); err != nil {
		t.Error(err)
	}
}

func TestRuns(t *testing.T) {
	s := newStore(t, 1<<20)
	m := s.NewTask(t.Context())
	r, err := m.NewRun()
	if err != nil {
		t.Fatal(err)
	}
	frames := [][]byte{[]byte("small"), {}, kb("a"), noise(100), noise(PieceSize + 1), bytes.Repeat([]byte("ab"), PieceSize)}
	var size int64
	for _, f := range frames {
		if err := r.Append(f); err != nil {
			t.Fatal(err)
		}
		size += int64(len(f))
	}
	if r.Bytes() != size {
		t.Errorf("%d bytes, not %d", r.Bytes(), size)
	}
	var readers []task.RunReader
	for range 2 {
		in, err := r.Open()
		if err != nil {
			t.Fatal(err)
		}
		readers = append(readers, in)
	}
	if err := r.Append([]byte("late")); !errors.Is(err, ErrClosed) {
		t.Errorf("appending after it: %v", err)
	}
	r.Remove() // who has it open reads on
	for _, in := range readers {
		for i, want := range frames {
			if got, err := in.Next(); err != nil || !bytes.Equal(got, want) {
				t.Errorf("frame %d: %d bytes, %v", i, len(got), err)
			}
		}
		if _, err := in.Next(); err != io.EOF {
			t.Errorf("after the last: %v", err)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Open(); !errors.Is(err, ErrNoBlock) {
		t.Errorf("opening what was removed: %v", err)
	}
	if _, err := m.NewRun(); err != nil {
		t.Fatal(err)
	}
	if m.Close(); s.disk.Files() != 0 {
		t.Errorf("%d files are left when the task has ended", s.disk.Files())
	}
	if _, err := m.NewRun(); !errors.Is(err, ErrClosed) || m.Grow(1) {
		t.Errorf("a task that has ended makes a file: %v", err)
	}
}

// A byte that changed, wherever, and a file that was cut off are errors.
func TestDamagedFiles(t *testing.T) {
	s := newStore(t, 1<<20)
	want := append(kb("a"), noise(300)...)
	v, err := s.NewEncoded(want).Spill()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Discard()
	path := v.(encodedDisk).file.path
	whole, err := os.ReadFile(path)
	if err != nil || len(whole) >= len(want) {
		t.Fatalf("%d bytes in the file, %v; it isn't compressed", len(whole), err)
	}
	try := func(what string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := v.(Encoded).Load(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %d bytes, %v", what, len(got), err)
		}
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x10
		try("a bit flipped", b)
		try("cut off", whole[:i])
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := v.(Encoded).Load(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("undamaged: %v", err)
	}
}

// fill makes a store's files such that writing finds no room.
func fill(t *testing.T, s *Store) {
	t.Helper()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	s.disk.OpenBy(func(path string, _ int, _ os.FileMode) (*os.File, error) {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return nil, err
		}
		return os.OpenFile("/dev/full", os.O_WRONLY, 0)
	})
}

// A disk without room is an error that says where and what to do; blocks stay in memory.
func TestDiskFull(t *testing.T) {
	s := newStore(t, 8<<10)
	fill(t, s)
	m := s.NewTask(t.Context())
	defer m.Close()
	r, err := m.NewRun()
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(r.Append(noise(1<<20)), r.Finish())
	if !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), s.disk.parent) || !strings.Contains(err.Error(), "local.dir") {
		t.Errorf("a run: %v", err)
	}
	if _, err := r.Open(); !errors.Is(err, ErrDiskFull) {
		t.Errorf("reading it: %v", err)
	}
	for _, k := range []string{"a", "b", "c"} {
		put(t, s, 1, k, task.MemoryAndDisk, kb(k))
	}
	if m.Grow(6 << 10) {
		t.Error("memory was granted though nothing could be spilled")
	}
	if got := where(s, "a", "b", "c"); got != "a memory, b memory, c memory" {
		t.Error(got)
	}
	v, kept, err := s.Compute(t.Context(), ID{1, "d"}, task.DiskOnly, computing(s, kb("d"), new(int)))
	if err != nil || kept {
		t.Fatalf("a block on disk: kept %v, %v", kept, err)
	}
	if b, err := v.(Encoded).Load(); err != nil || !bytes.Equal(b, kb("d")) {
		t.Errorf("it is %d bytes, %v", len(b), err)
	}
	if r.Remove(); s.disk.Files() != 0 {
		t.Errorf("%d files are left", s.disk.Files())
	}
}

func FuzzFrame(f *testing.F) {
	var scratch []byte
	f.Add(Pack(&scratch, kb("a")).Data, 1024)
	f.Fuzz(func(t *testing.T, b []byte, raw int) {
		got, err := Frame{Data: b, Raw: raw, Sum: Checksum(b)}.Unpack(PieceSize)
		if err == nil && (len(got) > PieceSize || raw != 0 && len(got) != raw) {
			t.Errorf("%d bytes from a frame of %d", len(got), raw)
		}
	})
}
