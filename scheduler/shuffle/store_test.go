package shuffle

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/hibana-engine/hibana/scheduler/block"
)

// write commits an output whose blocks say what they are.
func write(t testing.TB, s *Store, id MapID, reduces int, order ...int) []int64 {
	t.Helper()
	w := s.Writer(t.Context(), id, reduces)
	for i, r := range order {
		if err := w.WriteBlock(r, fmt.Appendf(nil, "m%d#%d r%d %d", id.Map, id.Attempt, r, i)); err != nil {
			t.Fatal(err)
		}
	}
	sizes, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return sizes
}

func blocksOf(t testing.TB, s *Store, id MapID, reduce int) string {
	t.Helper()
	var all []string
	for b, err := range s.Blocks(id, reduce) {
		if err != nil {
			return err.Error()
		}
		all = append(all, string(b))
	}
	return strings.Join(all, ", ")
}

// newStore returns a store over blocks of its own, with a budget.
func newStore(t testing.TB, limit int64) *Store {
	t.Helper()
	kept := block.NewStore(limit, t.TempDir())
	t.Cleanup(func() {
		if err := kept.Close(); err != nil {
			t.Error(err)
		}
	})
	return NewStore(kept)
}

// bytes returns the bytes in memory, those of open writers included.
func (s *Store) bytes() int64 { return s.kept.Budget().Used() }

func TestBlocksKeepTheOrderOfWriting(t *testing.T) {
	s, id := newStore(t, 1<<20), MapID{Batch: 1}
	sizes := write(t, s, id, 4, 2, 0, 2, 0, 3)
	for reduce, want := range []string{"m0#0 r0 1, m0#0 r0 3", "", "m0#0 r2 0, m0#0 r2 2", "m0#0 r3 4"} {
		if got := blocksOf(t, s, id, reduce); got != want {
			t.Errorf("reduce partition %d: %q, not %q", reduce, got, want)
		}
	}
	if fmt.Sprint(sizes) != "[18 0 18 9]" || s.bytes() != 45 {
		t.Errorf("sizes %v, %d bytes in all", sizes, s.bytes())
	}
	for _, reduce := range []int{-1, 4} {
		if got := blocksOf(t, s, id, reduce); !strings.HasPrefix(got, ErrNoOutput.Error()) {
			t.Errorf("reduce partition %d: %v", reduce, got)
		}
	}
}

// An attempt is seen as a whole or not at all, and never with another's blocks.
func TestAttemptsDoNotMix(t *testing.T) {
	s := newStore(t, 1<<20)
	first, second := MapID{Batch: 1, Attempt: 0}, MapID{Batch: 1, Attempt: 1}
	w := s.Writer(t.Context(), first, 2)
	if err := w.WriteBlock(0, []byte("half")); err != nil {
		t.Fatal(err)
	}
	write(t, s, second, 2, 0, 1)
	if got := blocksOf(t, s, first, 0); got != ErrNoOutput.Error() {
		t.Errorf("before the commit: %q", got)
	}
	w.Abort()
	w.Abort()
	if got := blocksOf(t, s, first, 0); got != ErrNoOutput.Error() {
		t.Errorf("after the abort: %q", got)
	}
	if got := blocksOf(t, s, second, 0); got != "m0#1 r0 0" {
		t.Errorf("the other attempt: %q", got)
	}
	if err := w.WriteBlock(0, []byte("late")); !errors.Is(err, ErrWriterClosed) {
		t.Errorf("writing after the end: %v", err)
	}
	if _, err := w.Commit(); !errors.Is(err, ErrWriterClosed) {
		t.Errorf("committing after the end: %v", err)
	}
	if s.bytes() != 18 {
		t.Errorf("%d bytes held", s.bytes())
	}
	// The same attempt, committed again, replaces itself.
	write(t, s, second, 2, 1)
	if s.bytes() != 9 || s.Len() != 1 {
		t.Errorf("%d bytes of %d outputs held", s.bytes(), s.Len())
	}
}

func TestWriterRefuses(t *testing.T) {
	s := newStore(t, 1<<20)
	w := s.Writer(t.Context(), MapID{Batch: 7, Shuffle: 2, Map: 3}, 1)
	for _, reduce := range []int{-1, 1} {
		if err := w.WriteBlock(reduce, []byte("x")); err == nil {
			t.Errorf("reduce partition %d was taken", reduce)
		}
	}
	if err := w.WriteBlock(0, nil); err != nil {
		t.Errorf("an empty block: %v", err)
	}
	if err := w.WriteBlock(0, make([]byte, 10)); err != nil || s.bytes() != 10 {
		t.Errorf("%d bytes held, %v", s.bytes(), err)
	}
	if w.Abort(); s.bytes() != 0 {
		t.Errorf("%d bytes held after the abort", s.bytes())
	}
}

func TestForget(t *testing.T) {
	s := newStore(t, 1<<20)
	late := s.Writer(t.Context(), MapID{Batch: 2, Map: 1}, 1)
	if err := late.WriteBlock(0, []byte("late")); err != nil {
		t.Fatal(err)
	}
	for batch := range uint64(5) {
		write(t, s, MapID{Batch: batch}, 1, 0)
	}
	if s.kept.Forget(3); s.Len() != 2 || s.bytes() != 9*2+4 {
		t.Errorf("%d outputs, %d bytes", s.Len(), s.bytes())
	}
	if _, err := late.Commit(); !errors.Is(err, ErrForgotten) {
		t.Errorf("a commit to a forgotten batch: %v", err)
	}
	if s.kept.Forget(1); s.Len() != 2 || s.bytes() != 9*2 {
		t.Errorf("forgetting less: %d outputs, %d bytes", s.Len(), s.bytes())
	}
	if s.Clear(); s.Len() != 0 || s.bytes() != 0 {
		t.Errorf("after clearing: %d outputs, %d bytes", s.Len(), s.bytes())
	}
}

// Many tasks write, read and forget at once; in the end nothing is held.
func TestConcurrentUse(t *testing.T) {
	s := newStore(t, 1<<20)
	var tasks sync.WaitGroup
	for m := range int32(8) {
		tasks.Go(func() {
			for batch := range uint64(200) {
				id := MapID{Batch: batch, Map: m}
				w := s.Writer(t.Context(), id, 2)
				if err := w.WriteBlock(int(batch%2), []byte("block")); err != nil {
					t.Error(err)
				}
				if _, err := w.Commit(); err != nil && !errors.Is(err, ErrForgotten) {
					t.Error(err)
				}
				for b, err := range s.Blocks(id, int(batch%2)) {
					if err != nil && !errors.Is(err, ErrNoOutput) || err == nil && string(b) != "block" {
						t.Error(b, err)
					}
				}
				if batch > 5 {
					s.kept.Forget(batch - 5)
				}
			}
		})
	}
	tasks.Wait()
	if s.kept.Forget(200); s.bytes() != 0 || s.Len() != 0 {
		t.Errorf("%d bytes of %d outputs are left", s.bytes(), s.Len())
	}
}

// BenchmarkMapTask writes and commits what a small map task does, and forgets it.
func BenchmarkMapTask(b *testing.B) {
	s, block := newStore(b, 1<<30), make([]byte, 100)
	b.ReportAllocs()
	var batch uint64
	for b.Loop() {
		w := s.Writer(b.Context(), MapID{Batch: batch}, 8)
		for r := range 8 {
			if err := w.WriteBlock(r, block); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := w.Commit(); err != nil {
			b.Fatal(err)
		}
		batch++
		s.kept.Forget(batch)
	}
}

// TestRandomOrders compares the store with a plain map, blocks written at random.
func TestRandomOrders(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 1))
		reduces := 1 + rng.IntN(6)
		order := make([]int, rng.IntN(20))
		want := make([]string, reduces)
		for i := range order {
			r := rng.IntN(reduces)
			if order[i] = r; want[r] != "" {
				want[r] += ", "
			}
			want[r] += fmt.Sprintf("m0#0 r%d %d", r, i)
		}
		s := newStore(t, 1<<20)
		sizes := write(t, s, MapID{}, reduces, order...)
		var total int64
		for r := range reduces {
			if got := blocksOf(t, s, MapID{}, r); got != want[r] {
				t.Errorf("seed %d, reduce partition %d: %q, not %q", seed, r, got, want[r])
			}
			total += sizes[r]
		}
		if total != s.bytes() {
			t.Errorf("seed %d: %v don't add up to %d", seed, sizes, s.bytes())
		}
	}
}

// Few blocks go with the description of the output, and are read without the store; many
// don't, of one map task or of all.
func TestSmallOutputs(t *testing.T) {
	s := newStore(t, 1<<30)
	tracker := NewTracker()
	tracker.Register(1, 0, 2)
	for m := range int32(2) {
		id := MapID{Batch: 1, Map: m}
		w := s.Writer(t.Context(), id, 3)
		for _, r := range []int{2, 0, 2} {
			if err := w.WriteBlock(r, fmt.Appendf(nil, "m%d r%d;", m, r)); err != nil {
				t.Fatal(err)
			}
		}
		small := w.Small()
		sizes, err := w.Commit()
		if err != nil {
			t.Fatal(err)
		}
		tracker.Add(id, "gone", sizes, small)
	}
	r := readerOf(t, tracker, nil)
	for reduce, want := range []string{"m0 r0;, m1 r0;", "", "m0 r2;m0 r2;, m1 r2;m1 r2;"} {
		if got, err := readAll(t.Context(), r, 1, 0, reduce); err != nil || got != want {
			t.Errorf("reduce partition %d: %q, %v", reduce, got, err)
		}
	}
	for n, want := range map[int]bool{maxSmall: true, maxSmall + 1: false} {
		w := s.Writer(t.Context(), MapID{Batch: 1}, 1)
		if err := w.WriteBlock(0, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		if got := len(w.Small()) > 0; got != want {
			t.Errorf("%d bytes go along: %v", n, got)
		}
		w.Abort()
	}
	const many = maxSmalls/maxSmall + 1
	tracker.Register(2, 0, many)
	for m := range int32(many) {
		tracker.Add(MapID{Batch: 2, Map: m}, "a", []int64{maxSmall}, make([]byte, maxSmall))
	}
	outs, err := tracker.Outputs(2, 0)
	if err != nil {
		t.Fatal(err)
	}
	for m := range outs.Maps {
		if _, ok := outs.Maps[m].Carried(0); ok {
			t.Fatalf("%d bytes are sent to each reading task", many*maxSmall)
		}
	}
	for want, o := range map[bool]Output{
		true: {Bytes: []int64{1, 0, 2}, Small: []byte("abc")}, false: {Bytes: []int64{1, 1}, Small: []byte("abc")},
	} {
		if o.IsWhole() != want {
			t.Errorf("%v of %v is whole: %v", o.Small, o.Bytes, !want)
		}
	}
}
