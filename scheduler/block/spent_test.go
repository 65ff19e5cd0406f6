package block

import (
	"bytes"
	"testing"

	"github.com/hibana-engine/hibana/rdd/task"
)

// Blocks that are spent go before others: those beyond an eighth of the budget when one is
// put, the others when the budget is full. They can be read all the same.
func TestSpentBlocksGoFirst(t *testing.T) {
	s := newStore(t, 16<<10)
	for _, k := range []string{"a", "b", "c", "d"} {
		put(t, s, 1, k, task.MemoryAndDisk, kb(k))
	}
	put(t, s, 1, "x", task.MemoryOnly, kb("x"))
	for _, k := range []string{"c", "a", "x", "b", "a", "none"} { // x would be lost
		s.Spend(ID{1, k})
	}
	if got := where(s, "a", "b", "c", "d", "x"); got != "a memory, b memory, c memory, d memory, x memory" {
		t.Fatal(got)
	}
	put(t, s, 1, "e", task.MemoryAndDisk, kb("e"))
	if got := where(s, "a", "b", "c", "d", "x"); got != "a memory, b memory, c disk, d memory, x memory" {
		t.Error(got)
	}
	if b, _ := load(t, s, 1, "a"); !bytes.Equal(b, kb("a")) { // used, and spent still
		t.Error("a holds something else")
	}
	for i := range 12 {
		put(t, s, 2, i, task.MemoryAndDisk, kb(i))
	}
	if got := where(s, "a", "b", "c", "d", "x"); got != "a disk, b memory, c disk, d memory, x memory" {
		t.Errorf("when the budget was full: %s", got)
	}
	for _, k := range []string{"a", "b", "c", "d"} {
		if b, _ := load(t, s, 1, k); !bytes.Equal(b, kb(k)) {
			t.Errorf("%s came back as something else", k)
		}
	}
	s.Delete(ID{1, "b"})
	if s.spent.bytes != 0 || s.spent.list.Len() != 0 {
		t.Errorf("%d bytes of %d blocks are spent, when they are gone", s.spent.bytes, s.spent.list.Len())
	}
	if s.Drop(func(ID) bool { return true }); s.budget.Used() != 0 || s.recent.Len() != 0 {
		t.Errorf("%d bytes are used, %d blocks are there", s.budget.Used(), s.recent.Len())
	}
}

// A spent block that can't be written stays, and is no longer tried first.
func TestSpentBlocksThatCannotBeWritten(t *testing.T) {
	s := newStore(t, 8<<10)
	put(t, s, 1, "a", task.MemoryAndDisk, kb("a"))
	put(t, s, 1, "b", task.MemoryAndDisk, kb("b"))
	s.Spend(ID{1, "a"})
	s.Spend(ID{1, "b"})
	if err := s.Disk().Close(); err != nil {
		t.Fatal(err)
	}
	put(t, s, 1, "c", task.MemoryAndDisk, kb("c"))
	if got := where(s, "a", "b", "c"); got != "a memory, b memory, c memory" || s.spent.bytes != 1<<10 {
		t.Errorf("%s; %d bytes are spent", got, s.spent.bytes)
	}
}
