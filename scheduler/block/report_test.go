package block

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/rdd/task"
)

// taken returns what a report tells, in the order of the partitions.
func taken(r *Report) string {
	all := r.Take()
	slices.SortFunc(all, func(a, b Stored) int { return cmp.Compare(a.Block.Partition, b.Block.Partition) })
	var said []string
	for _, s := range all {
		said = append(said, fmt.Sprintf("%d.%d level %d, %d bytes", s.Block.Batch, s.Block.Partition, s.Level, s.Bytes))
	}
	return strings.Join(said, "; ")
}

// A report tells of partitions that are kept and of those that are kept no longer, each
// once; a new one begins with all that there are.
func TestReport(t *testing.T) {
	s := newStore(t, 4<<10)
	keep := func(p int32, level task.Level) {
		t.Helper()
		b := task.Block{Batch: 1, Partition: p}
		if _, keep, err := s.Compute(t.Context(), ID{1, b}, level, computing(s, kb(p), new(int))); err != nil || !keep {
			t.Fatal(keep, err)
		}
	}
	keep(0, task.MemoryOnly)
	first := s.Partitions().Report()
	var second *Report
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"what was there", func() {}, "1.0 level 1, 1024 bytes"},
		{"nothing new", func() { keep(0, task.MemoryOnly) }, ""},
		{"stored", func() { keep(1, task.MemoryAndDisk); keep(2, task.DiskOnly) }, "1.1 level 2, 1024 bytes; 1.2 level 3, 0 bytes"},
		{"evicted", func() { put(t, s, 1, "a", task.MemoryOnly, make([]byte, 2<<10)) }, ""},
		{"evicted by more", func() { put(t, s, 1, "b", task.MemoryOnly, make([]byte, 2<<10)) }, "1.0 level 0, 0 bytes"},
		{"dropped", func() { s.Partitions().Drop(task.Block{Batch: 1, Partition: 2}) }, "1.2 level 0, 0 bytes"},
		{"stored and dropped", func() { keep(3, task.DiskOnly); s.Partitions().Drop(task.Block{Batch: 1, Partition: 3}) }, "1.3 level 0, 0 bytes"},
		{"forgotten", func() { keep(4, task.DiskOnly); s.Forget(2) }, ""},
	} {
		step.do()
		if got := taken(first); got != step.want {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)
		}
	}
	s.Reopen()
	keep(5, task.DiskOnly)
	second = s.Partitions().Report()
	keep(6, task.DiskOnly)
	if got := taken(second); got != "1.5 level 3, 0 bytes; 1.6 level 3, 0 bytes" {
		t.Errorf("the second tells %q", got)
	}
	if got := taken(first); got != "1.5 level 3, 0 bytes" {
		t.Errorf("the first goes on with %q", got)
	}
}

// What doesn't go into one message is told by the next.
func TestLongReport(t *testing.T) {
	s := newStore(t, 1<<20)
	const n = maxTaken + 10
	r := s.Partitions().Report()
	for p := range int32(n) {
		b := task.Block{Batch: 1, Partition: p}
		if _, _, err := s.Compute(t.Context(), ID{1, b}, task.MemoryOnly, computing(s, nil, new(int))); err != nil {
			t.Fatal(err)
		}
	}
	if a, b, c := len(r.Take()), len(r.Take()), len(r.Take()); a != maxTaken || b != 10 || c != 0 {
		t.Errorf("%d, %d, %d were told", a, b, c)
	}
}

// What a task computes that was killed meanwhile isn't kept: its driver may have been
// deposed, and the next one's RDDs are others of the same names. Those who wait for it
// compute it.
func TestKilledWhileComputing(t *testing.T) {
	s := newStore(t, 1<<20)
	ctx, kill := context.WithCancelCause(t.Context())
	cause := errors.New("deposed")
	id := ID{1, "a"}
	begun := make(chan struct{})
	other := make(chan error, 1)
	times := 0
	go func() {
		<-begun
		_, keep, err := s.Compute(t.Context(), id, task.MemoryOnly, computing(s, kb("b"), &times))
		if !keep && err == nil {
			err = errors.New("it isn't kept")
		}
		other <- err
	}()
	v, keep, err := s.Compute(ctx, id, task.DiskOnly, func(*Task) (Value, error) {
		close(begun)
		kill(cause)
		return s.NewEncoded(kb("a")), nil
	})
	if err != nil || keep {
		t.Fatal(keep, err)
	}
	v.Discard()
	if err := <-other; err != nil || times != 1 {
		t.Errorf("who waited: %v, computed %d times", err, times)
	}
	if b, _ := load(t, s, 1, "a"); !slices.Equal(b, kb("b")) || s.disk.Files() != 0 {
		t.Errorf("%.4s… is kept, and %d files", b, s.disk.Files())
	}
	if _, _, err := s.Compute(ctx, ID{1, "c"}, task.MemoryOnly, computing(s, kb("c"), &times)); !errors.Is(err, cause) || times != 1 {
		t.Errorf("a killed task computes: %v", err)
	}
}
