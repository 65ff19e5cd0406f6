package block

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/hibana-engine/hibana/rdd/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newStore returns a store that the test's end closes, after which nothing is left.
func newStore(t testing.TB, limit int64) *Store {
	t.Helper()
	s := NewStore(limit, t.TempDir())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if s.Len() != 0 || s.budget.Used() != 0 || s.disk.Files() != 0 {
			t.Errorf("left after Close: %d blocks, %d bytes, %d files", s.Len(), s.budget.Used(), s.disk.Files())
		}
	})
	return s
}

// put makes bytes a block.
func put(t testing.TB, s *Store, batch uint64, key any, level task.Level, b []byte) {
	t.Helper()
	if err := tryPut(t, s, batch, key, level, b); err != nil {
		t.Fatal(err)
	}
}

func tryPut(t testing.TB, s *Store, batch uint64, key any, level task.Level, b []byte) error {
	m := s.NewTask(t.Context())
	defer m.Close()
	if !m.Grow(int64(len(b))) {
		return ErrFull
	}
	return s.Put(m, ID{batch, key}, level, s.NewEncoded(b))
}

// load returns a block's bytes; where says in which form the store has it.
func load(t testing.TB, s *Store, batch uint64, key any) (b []byte, where string) {
	t.Helper()
	v, ok := s.Get(ID{batch, key})
	if !ok {
		return nil, "gone"
	}
	b, err := v.(Encoded).Load()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := v.(encodedDisk); ok {
		return b, "disk"
	}
	return b, "memory"
}
