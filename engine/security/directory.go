package security

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hibana-engine/hibana/engine/wire"
)

// CheckDirectory makes sure that nobody but this user, and root, can change what lies
// in a directory from which programs are run: neither in it, nor in the directories in
// it, nor by putting another one in its place. Its error wraps [wire.ErrInsecure].
func CheckDirectory(path string) error {
	path, err := filepath.Abs(path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return fmt.Errorf("looking at the directory: %w", err)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("looking at the directory: %w", err)
	}
	if err := checkOwn(path); err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() || e.Type() == fs.ModeSymlink {
			if err := checkOwn(filepath.Join(path, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if err := checkAbove(dir); err != nil || dir == filepath.Dir(dir) {
			return err
		}
	}
}

// checkOwn refuses a directory that others own, or may write.
func checkOwn(dir string) error {
	info, owner, err := look(dir)
	if err != nil {
		return err
	}
	if owner != os.Geteuid() && owner != 0 {
		return fmt.Errorf("%w: %s belongs to user %d, this is %d: whoever owns it can replace the programs that are run from it; name a directory of this user's",
			wire.ErrInsecure, dir, owner, os.Geteuid())
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 && info.IsDir() {
		return fmt.Errorf("%w: %s has mode %04o, so that others may replace the programs that are run from it; run chmod 700 on it, if nobody has, or name another directory",
			wire.ErrInsecure, dir, mode)
	}
	return nil
}

// checkAbove refuses a directory in which others may put another one in the place of
// one of this user's.
func checkAbove(dir string) error {
	info, owner, err := look(dir)
	if err != nil {
		return err
	}
	if owner != os.Geteuid() && owner != 0 {
		return fmt.Errorf("%w: %s, which is above the directory, belongs to user %d, who can put another one in its place; name a directory of this user's",
			wire.ErrInsecure, dir, owner)
	}
	if mode := info.Mode(); mode&0o002 != 0 && mode&fs.ModeSticky == 0 {
		return fmt.Errorf("%w: %s, which is above the directory, has mode %04o, so that anybody can put another one in its place; run chmod o-w or chmod +t on it",
			wire.ErrInsecure, dir, mode.Perm())
	}
	return nil
}

// look returns what a directory is and who owns it: 0 where the system doesn't say.
func look(dir string) (info fs.FileInfo, owner int, err error) {
	info, err = os.Stat(dir)
	if err != nil {
		return nil, 0, fmt.Errorf("looking at the directory: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = int(st.Uid)
	}
	return info, owner, nil
}
