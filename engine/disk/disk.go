// Package disk is what daemons know of a disk: how much room it has, whether an
// error says that there is none, how a file outlives the machine's crash, and how a
// directory is one process's.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// scarce is so little room, in bytes, that a write may have failed for want of it.
const scarce = 1 << 20

// Free returns how many bytes can be written to the file system of a path.
func Free(path string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(path, &fs); err != nil {
		return 0, fmt.Errorf("asking how much room %s has: %w", path, err)
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil
}

// ErrRoom says that a disk has less room than is needed.
var ErrRoom = errors.New("the disk has no room")

// Room makes sure that n more bytes fit on the file system of a path and that
// reserve bytes stay free. If they don't, the error wraps
// [ErrRoom].
func Room(path string, n, reserve int64) error {
	free, err := Free(path)
	if err != nil {
		return err
	}
	if free-n < reserve {
		return fmt.Errorf("%w: %d MB are free in %s, %d MB must stay free; make room there", ErrRoom, free>>20, path, (reserve+n)>>20)
	}
	return nil
}

// Full reports whether an error says that a disk, or somebody's share of it, is
// full.
func Full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// Explain adds to the error of a write in a directory that the disk is full, if it
// is: libraries don't always say so. Other errors it returns as they are.
func Explain(path string, err error) error {
	if err == nil {
		return nil
	}
	free, ferr := Free(path)
	switch {
	case ferr == nil && (Full(err) || free < scarce):
		return fmt.Errorf("the disk of %s has no room, %d KB are free: %w", path, free>>10, err)
	case Full(err):
		return fmt.Errorf("the disk of %s has no room: %w", path, err)
	}
	return err
}

// WriteFile replaces a file by one with the given content, of mode 0600: whole or
// not at all, also if the machine crashes.
func WriteFile(path string, content []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes renames in a directory outlive the machine's crash.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Lock makes a directory this process's, until the file is closed that it returns; the kernel
// does so at the process's end, too. To remove the file lets the directory go as well. The
// error that another process has it wraps locked.
func Lock(dir string, locked error) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("opening the directory's lock: %w", err)
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("%w: %s: stop the other process or use another directory", locked, dir)
		}
		there, err := isAt(f, path)
		if there {
			return f, nil
		}
		_ = f.Close() // who had it has removed it meanwhile
		if err != nil {
			return nil, fmt.Errorf("looking at the directory's lock: %w", err)
		}
	}
}

// isAt reports whether an open file is the one at a path.
func isAt(f *os.File, path string) (bool, error) {
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	now, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, now), err
}
