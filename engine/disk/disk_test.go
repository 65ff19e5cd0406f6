package disk_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hibana-engine/hibana/engine/disk"
	"github.com/hibana-engine/hibana/engine/disk/disktest"
)

func TestRoom(t *testing.T) {
	dir, grow := disktest.Small(t, "8m")
	for _, tt := range []struct {
		n, reserve int64
		want       error
	}{
		{0, 0, nil}, {8 << 20, 0, nil}, {4 << 20, 4 << 20, nil}, {8<<20 + 1, 0, disk.ErrRoom}, {4 << 20, 5 << 20, disk.ErrRoom},
	} {
		if err := disk.Room(dir, tt.n, tt.reserve); !errors.Is(err, tt.want) || (err != nil && !strings.Contains(err.Error(), dir)) {
			t.Errorf("%d bytes with %d free: %v, want %v", tt.n, tt.reserve, err, tt.want)
		}
	}
	grow("16m")
	if err := disk.Room(dir, 10<<20, 0); err != nil {
		t.Errorf("on a larger disk: %v", err)
	}
	if err := disk.Room(filepath.Join(dir, "missing"), 0, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nowhere: %v", err)
	}
}

func TestExplain(t *testing.T) {
	dir, _ := disktest.Small(t, "2m")
	other := errors.New("file resize error")
	if err := disk.Explain(dir, other); err != other {
		t.Errorf("with room: %v", err)
	}
	err := os.WriteFile(filepath.Join(dir, "all"), make([]byte, 4<<20), 0o600)
	if !disk.Full(err) {
		t.Fatalf("a full disk: %v", err)
	}
	for in, want := range map[error]string{
		err:                                     "no space left",
		other:                                   "file resize error",
		fmt.Errorf("quota: %w", syscall.EDQUOT): "quota",
	} {
		if got := disk.Explain(dir, in); !errors.Is(got, in) || !strings.Contains(got.Error(), want) || !strings.Contains(got.Error(), "the disk of "+dir+" has no room") {
			t.Errorf("%v is explained as %v", in, got)
		}
	}
	if disk.Explain(dir, nil) != nil || disk.Full(other) {
		t.Error("what is no error, or another one, is a full disk")
	}
}

// Who has a directory may remove its lock before letting it go, while others try to get it:
// there is never more than one who has it.
func TestLockThatIsRemoved(t *testing.T) {
	dir, taken := t.TempDir(), errors.New("taken")
	var has atomic.Int32
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for got := 0; got < 50; {
				lock, err := disk.Lock(dir, taken)
				if errors.Is(err, taken) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				got++
				if n := has.Add(1); n != 1 {
					t.Errorf("%d have the directory", n)
				}
				has.Add(-1)
				if err := os.Remove(lock.Name()); err != nil { // from here on another may have it
					t.Error(err)
				}
				if err := lock.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
