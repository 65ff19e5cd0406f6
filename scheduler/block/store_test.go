package block

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hibana-engine/hibana/rdd/task"
)

// kb returns a kilobyte that says whose it is.
func kb(key any) []byte { return bytes.Repeat(fmt.Appendf(nil, "%-16v", key), 64) }

// where says where the blocks of batch 1 are, without using them.
func where(s *Store, keys ...string) string {
	var all []string
	for _, k := range keys {
		place := "gone"
		switch v, _ := s.Peek(ID{1, k}); v.(type) {
		case encodedMemory:
			place = "memory"
		case encodedDisk:
			place = "disk"
		}
		all = append(all, k+" "+place)
	}
	return strings.Join(all, ", ")
}

// The block that was used least recently goes first, to where its level says.
func TestEviction(t *testing.T) {
	s := newStore(t, 4<<10)
	put(t, s, 1, "a", task.MemoryAndDisk, kb("a"))
	put(t, s, 1, "b", task.MemoryOnly, kb("b"))
	put(t, s, 1, "c", task.MemoryAndDisk, kb("c"))
	put(t, s, 1, "d", task.MemoryAndDisk, kb("d"))
	if got := where(s, "a", "b", "c", "d"); got != "a memory, b memory, c memory, d memory" {
		t.Fatal(got)
	}
	for _, step := range []struct{ use, put, want string }{
		{"a", "e", "a memory, b gone, c memory, d memory, e memory"},
		{"", "f", "a memory, b gone, c disk, d memory, e memory"},
		{"c", "g", "a memory, b gone, c disk, d disk, e memory"},
		{"a", "h", "a memory, b gone, c disk, d disk, e disk"},
	} {
		if step.use != "" {
			if b, _ := load(t, s, 1, step.use); !bytes.Equal(b, kb(step.use)) {
				t.Errorf("%s holds something else", step.use)
			}
		}
		put(t, s, 1, step.put, task.MemoryAndDisk, kb(step.put))
		if got := where(s, "a", "b", "c", "d", "e"); got != step.want {
			t.Errorf("after %s: %s, want %s", step.put, got, step.want)
		}
	}
	if used := s.budget.Used(); used != 4<<10 {
		t.Errorf("%d bytes are used", used)
	}
	for _, k := range []string{"c", "d", "e"} {
		if b, _ := load(t, s, 1, k); !bytes.Equal(b, kb(k)) {
			t.Errorf("%s came back as something else", k)
		}
	}
}

func TestPutReplacesAndDrops(t *testing.T) {
	s := newStore(t, 1<<20)
	put(t, s, 1, "a", task.MemoryAndDisk, kb("x"))
	put(t, s, 1, "a", task.MemoryAndDisk, kb("a"))
	put(t, s, 2, "a", task.MemoryAndDisk, kb("b"))
	if b, _ := load(t, s, 1, "a"); !bytes.Equal(b, kb("a")) || s.Len() != 2 || s.budget.Used() != 2<<10 {
		t.Errorf("%d blocks of %d bytes", s.Len(), s.budget.Used())
	}
	if s.Delete(ID{2, "a"}); s.Len() != 1 {
		t.Errorf("%d blocks are left", s.Len())
	}
	if s.Forget(2); s.Len() != 0 || s.budget.Used() != 0 {
		t.Errorf("%d blocks, %d bytes are left", s.Len(), s.budget.Used())
	}
	if err := tryPut(t, s, 1, "late", task.MemoryOnly, kb("late")); !errors.Is(err, ErrForgotten) || s.budget.Used() != 0 {
		t.Errorf("a block of a forgotten batch: %v; %d bytes", err, s.budget.Used())
	}
	s.Reopen()
	if err := tryPut(t, s, 1, "again", task.MemoryOnly, kb("again")); err != nil || s.Len() != 1 {
		t.Errorf("a block of a batch that the next driver computes again: %v", err)
	}
}

// A block larger than what a task may hold isn't taken into memory.
func TestTooLarge(t *testing.T) {
	s := newStore(t, 4<<10)
	if err := tryPut(t, s, 1, "a", task.MemoryOnly, make([]byte, 3<<10)); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
}

// computing returns a function that computes a block and counts how often it does.
func computing(s *Store, b []byte, times *int) func(*Task) (Value, error) {
	return func(t *Task) (Value, error) {
		*times++
		if !t.Grow(int64(len(b))) {
			return nil, ErrFull
		}
		return s.NewEncoded(b), nil
	}
}

func TestComputesOnce(t *testing.T) {
	for level, want := range map[task.Level]string{task.MemoryOnly: "memory", task.MemoryAndDisk: "memory", task.DiskOnly: "disk"} {
		s := newStore(t, 1<<20)
		times := 0
		for range 3 {
			v, keep, err := s.Compute(t.Context(), ID{1, "a"}, level, computing(s, kb("a"), &times))
			if err != nil || !keep {
				t.Fatal(keep, err)
			}
			if b, err := v.(Encoded).Load(); !bytes.Equal(b, kb("a")) {
				t.Error(err)
			}
		}
		if _, got := load(t, s, 1, "a"); got != want || times != 1 {
			t.Errorf("%s: in %s, computed %d times", level, got, times)
		}
	}
}

// Of those who ask at once one computes. Who waits can be killed. When the one fails,
// the next computes.
func TestWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStore(1<<20, "")
		ask := func(ctx context.Context, compute func(*Task) (Value, error)) chan error {
			done := make(chan error, 1)
			go func() {
				_, _, err := s.Compute(ctx, ID{1, "a"}, task.MemoryOnly, compute)
				done <- err
			}()
			synctest.Wait()
			return done
		}
		fail, broken := make(chan struct{}), errors.New("broken")
		first := ask(t.Context(), func(*Task) (Value, error) { <-fail; return nil, broken })
		ctx, kill := context.WithCancelCause(t.Context())
		killed := ask(ctx, func(*Task) (Value, error) { t.Error("computed twice at once"); return nil, nil })
		times := 0
		waiting := []chan error{ask(t.Context(), computing(s, kb("a"), &times)), ask(t.Context(), computing(s, kb("a"), &times))}
		cause := errors.New("killed")
		kill(cause)
		if err := <-killed; !errors.Is(err, cause) {
			t.Errorf("a waiter that was killed: %v", err)
		}
		if times != 0 {
			t.Error("somebody computed while the first did")
		}
		close(fail)
		if err := <-first; err != broken {
			t.Errorf("the first: %v", err)
		}
		for _, w := range waiting {
			if err := <-w; err != nil {
				t.Error(err)
			}
		}
		if times != 1 {
			t.Errorf("computed %d times", times)
		}
		if err := s.Close(); err != nil || s.budget.Used() != 0 {
			t.Errorf("%v, %d bytes are left", err, s.budget.Used())
		}
	})
}

// A computation that panics keeps nobody out.
func TestComputePanics(t *testing.T) {
	s := newStore(t, 1<<20)
	func() {
		defer func() { _ = recover() }()
		_, _, _ = s.Compute(t.Context(), ID{1, "a"}, task.MemoryOnly, func(m *Task) (Value, error) { m.Grow(100); panic("bad") })
	}()
	times := 0
	if _, _, err := s.Compute(t.Context(), ID{1, "a"}, task.MemoryOnly, computing(s, kb("a"), &times)); err != nil || times != 1 {
		t.Error(times, err)
	}
}

// What is computed for a batch that was forgotten meanwhile is the caller's alone.
func TestForgottenWhileComputed(t *testing.T) {
	s := newStore(t, 1<<20)
	v, keep, err := s.Compute(t.Context(), ID{1, "a"}, task.DiskOnly, func(m *Task) (Value, error) {
		s.Forget(2)
		return s.NewEncoded(kb("a")), nil
	})
	if err != nil || keep || s.Len() != 0 {
		t.Fatal(keep, err, s.Len())
	}
	if b, err := v.(Encoded).Load(); !bytes.Equal(b, kb("a")) {
		t.Error(err)
	}
	if v.Discard(); s.disk.Files() != 0 {
		t.Error("its file is left")
	}
	if _, keep, err := s.Compute(t.Context(), ID{1, "a"}, task.MemoryOnly, computing(s, kb("a"), new(int))); keep || err != nil {
		t.Error(keep, err)
	}
}

// gate is a value whose spilling waits.
type gate struct {
	Value
	begun, end chan struct{}
}

func (g *gate) Spill() (Value, error) {
	close(g.begun)
	<-g.end
	return g.Value.Spill()
}

// A block that is forgotten while it is written to disk leaves no file.
func TestForgottenWhileSpilled(t *testing.T) {
	s := newStore(t, 4<<10)
	g := &gate{s.NewEncoded(kb("a")), make(chan struct{}), make(chan struct{})}
	m := s.NewTask(t.Context())
	m.Grow(1 << 10)
	if err := s.Put(m, ID{1, "a"}, task.MemoryAndDisk, g); err != nil {
		t.Fatal(err)
	}
	var spill sync.WaitGroup
	spill.Go(func() { s.Evict(context.Background(), 1) })
	<-g.begun
	if v, ok := s.Get(ID{1, "a"}); !ok || v != Value(g) {
		t.Error("meanwhile it isn't there")
	}
	s.Forget(2)
	close(g.end)
	spill.Wait()
	if s.disk.Files() != 0 || s.budget.Used() != 0 {
		t.Errorf("%d files, %d bytes are left", s.disk.Files(), s.budget.Used())
	}
}

// Many tasks put, compute, read and forget under a budget that holds a few blocks only.
// Nobody ever reads something else, and in the end nothing is left.
func TestConcurrentUse(t *testing.T) {
	s := newStore(t, 16<<10)
	levels := []task.Level{task.MemoryOnly, task.MemoryAndDisk, task.DiskOnly}
	var tasks sync.WaitGroup
	for g := range 6 {
		tasks.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			for batch := range uint64(100) {
				key := rng.IntN(4)
				level := levels[key%3]
				v, keep, err := s.Compute(t.Context(), ID{batch, key}, level, func(m *Task) (Value, error) {
					if !m.Grow(1 << 10) {
						return nil, ErrFull
					}
					return s.NewEncoded(kb(key)), nil
				})
				if err == nil {
					if b, err := v.(Encoded).Load(); err != nil && !errors.Is(err, ErrNoBlock) || err == nil && !bytes.Equal(b, kb(key)) {
						t.Error(err)
					}
					if !keep {
						v.Discard()
					}
				} else if !errors.Is(err, ErrFull) {
					t.Error(err)
				}
				_ = tryPut(t, s, batch, fmt.Sprint(g), task.MemoryAndDisk, kb(g))
				if v, ok := s.Get(ID{batch, fmt.Sprint(g)}); ok {
					if b, err := v.(Encoded).Load(); err != nil && !errors.Is(err, ErrNoBlock) || err == nil && !bytes.Equal(b, kb(g)) {
						t.Error(err)
					}
				}
				if batch > 5 {
					s.Forget(batch - 5)
				}
			}
		})
	}
	tasks.Wait()
	if s.Forget(1000); s.Len() != 0 || s.budget.Used() != 0 || s.disk.Files() != 0 {
		t.Errorf("%d blocks, %d bytes, %d files are left", s.Len(), s.budget.Used(), s.disk.Files())
	}
}

// Over 100,000 batches nothing adds up.
func TestNothingLeaks(t *testing.T) {
	s := newStore(t, 8<<10)
	block := kb("a")
	most := []int{0, 0}
	for batch := range uint64(100_000) {
		m := s.NewTask(t.Context())
		m.Grow(100)
		if batch%1000 == 0 {
			if r, err := m.NewRun(); err != nil || r.Append(block) != nil {
				t.Fatal(err)
			}
			put(t, s, batch, "disk", task.DiskOnly, block)
		}
		m.Close()
		put(t, s, batch, "a", task.MemoryAndDisk, block)
		if _, _, err := s.Compute(t.Context(), ID{batch, "b"}, task.MemoryOnly, computing(s, block, new(int))); err != nil {
			t.Fatal(err)
		}
		s.Forget(batch)
		most[0], most[1] = max(most[0], s.Len()), max(most[1], s.disk.Files())
	}
	if !slices.Equal(most, []int{3, 0}) || s.recent.Len() != 2 || len(s.batches) != 1 {
		t.Errorf("at most %d blocks, %d files; in the end %d entries of %d batches", most[0], most[1], s.recent.Len(), len(s.batches))
	}
	if s.Forget(100_000); s.Len() != 0 || s.budget.Used() != 0 || s.recent.Len() != 0 || len(s.batches) != 0 {
		t.Errorf("%d blocks, %d bytes are left", s.Len(), s.budget.Used())
	}
}
