package block

import (
	"testing"

	"github.com/hibana-engine/hibana/rdd/task"
)

// versionOf is a value at level Pinned.
type versionOf struct{ bytes, copied int64 }

func (v versionOf) Bytes() int64  { return v.bytes }
func (v versionOf) Copied() int64 { return v.copied }
func (v versionOf) Discard()      {}

func (v versionOf) Spill(func() (task.Run, error)) (task.Value, error) { panic("it is pinned") }

// Versions of a state are charged once for what they share; they leave less to others,
// but never nothing, and aren't given up.
func TestPinned(t *testing.T) {
	s := NewStore(1000, t.TempDir())
	defer s.Close()
	put := func(batch uint64, bytes, copied int64) {
		t.Helper()
		b := task.Block{Batch: batch, DStream: 3}
		_, kept, err := s.Partitions().Compute(t.Context(), b, task.Pinned, func(task.Building) (task.Value, error) { return versionOf{bytes, copied}, nil })
		if !kept || err != nil {
			t.Fatalf("batch %d: %v %v", batch, kept, err)
		}
	}
	used := func(want, pinned int64) {
		t.Helper()
		if got, _ := s.Pinned(); s.Budget().Used() != want || got != pinned {
			t.Errorf("%d bytes are used, not %d; %d are pinned, not %d", s.Budget().Used(), want, got, pinned)
		}
	}
	put(1, 400, 400)
	used(400, 400)
	put(2, 420, 30)
	used(450, 450)
	put(4, 430, 20)
	used(480, 480)
	s.Forget(2)
	used(450, 450)
	put(3, 425, 10)
	used(460, 460)
	task2 := s.NewTask(t.Context())
	if task2.Grow(600) {
		t.Error("600 more bytes were granted of 1000")
	}
	if !task2.Grow(100) {
		t.Error("100 more bytes weren't granted")
	}
	task2.Close()
	put(5, 5000, 4000)
	used(750, 5000+4000+20+10)
	if task3 := s.NewTask(t.Context()); !task3.Grow(100) {
		t.Error("a state that is too large leaves nothing to tasks")
	} else {
		task3.Close()
	}
	s.Forget(6)
	used(0, 0)
	if n := s.Len(); n != 0 {
		t.Errorf("%d blocks", n)
	}
}
