package security

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hibana-engine/hibana/engine/wire"
)

// A directory from which programs are run is this user's alone, with what is above it
// and in it.
func TestCheckDirectory(t *testing.T) {
	for _, x := range []struct {
		name             string
		above, dir, main fs.FileMode
		want             string // "" for a directory that will do
	}{
		{"private", 0o700, 0o700, 0o700, ""},
		{"for all to read", 0o755, 0o755, 0o755, ""},
		{"for all to write", 0o755, 0o777, 0o755, "/data has mode 0777"},
		{"for a group to write", 0o755, 0o770, 0o755, "/data has mode 0770"},
		{"with programs for a group to write", 0o755, 0o755, 0o775, "/data/binaries has mode 0775"},
		{"above it all may write", 0o777, 0o700, 0o700, "above has mode 0777"},
		{"above it all may write what is theirs", 0o777 | fs.ModeSticky, 0o700, 0o700, ""},
		{"above it a group may write", 0o775, 0o700, 0o700, ""},
	} {
		above := filepath.Join(t.TempDir(), "above")
		data := filepath.Join(above, "data")
		programs := filepath.Join(data, "binaries")
		if err := os.MkdirAll(programs, 0o700); err != nil {
			t.Fatal(err)
		}
		for path, mode := range map[string]fs.FileMode{above: x.above, data: x.dir, programs: x.main} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(data, link); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{data, link} {
			err := CheckDirectory(path)
			if x.want == "" && err != nil || x.want != "" && (!errors.Is(err, wire.ErrInsecure) || !strings.Contains(strings.ReplaceAll(err.Error(), ", which is above the directory,", ""), x.want)) {
				t.Errorf("%s: %v, want %q", x.name, err, x.want)
			}
		}
	}
}

func TestCheckDirectoryOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	const other = 65534
	for _, theirs := range []string{"above", "above/data", "above/data/binaries"} {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, "above/data/binaries"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(root, theirs), other, other); err != nil {
			t.Fatal(err)
		}
		err := CheckDirectory(filepath.Join(root, "above/data"))
		if !errors.Is(err, wire.ErrInsecure) || !strings.Contains(err.Error(), "belongs to user 65534") || !strings.Contains(err.Error(), filepath.Join(root, theirs)) {
			t.Errorf("%s is another user's: %v", theirs, err)
		}
	}
}
