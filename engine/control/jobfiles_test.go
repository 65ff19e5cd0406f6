package control

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/control/raftgroup"
	"github.com/hibana-engine/hibana/engine/disk/disktest"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Binaries leave room for Raft's log.
func TestBinariesLeaveRoom(t *testing.T) {
	dir, grow := disktest.Small(t, "64m")
	d, err := raftgroup.OpenDataDir(filepath.Join(dir, "a"), "a", false)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	files, err := openJobFiles(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.room.Claim(1 << 20); !errors.Is(err, wire.ErrTooLarge) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("it says: %v", err)
	}
	grow("300m")
	if _, err := files.room.Claim(1 << 20); err != nil {
		t.Error(err)
	}
}

// What jobs have on a node's disk is for its user only, also in a data directory that
// others may look into.
func TestJobFilesArePrivate(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := raftgroup.OpenDataDir(dir, "a", false)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := openJobFiles(d); err != nil {
		t.Fatal(err)
	}
	if err := d.Keep(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) < 5 {
		t.Fatalf("%v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}
