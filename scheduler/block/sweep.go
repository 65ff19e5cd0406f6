package block

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Names of directories of files, and of the file in it whose lock says that its process
// lives.
const (
	dirPattern = "hibana-blocks-*"
	lockName   = "lock"
)

// unlockedFor is how old a directory without a lock is at least, for a process to have
// died while it made it.
const unlockedFor = time.Hour

// makeDir makes the directory, after those of processes that were killed are removed. It
// is called with mu held.
func (d *Disk) makeDir() error {
	if err := os.MkdirAll(d.parent, 0o700); err != nil {
		return err
	}
	sweep(d.parent)
	dir, err := os.MkdirTemp(d.parent, dirPattern) // 0700
	if err != nil {
		return err
	}
	lock, err := lockIn(dir)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	d.dir, d.lock = dir, lock
	return nil
}

// lockIn makes the lock of a directory. It has its name when it is held already, so that
// nobody finds it free.
func lockIn(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName+".new"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, lockName)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// sweep removes this user's directories whose processes are gone. What can't be removed
// stays.
func sweep(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, dirPattern)) // the pattern is fine
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() || !mine(info) {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|syscall.O_NOFOLLOW, 0)
		switch {
		case errors.Is(err, fs.ErrNotExist) && time.Since(info.ModTime()) > unlockedFor:
			_ = os.RemoveAll(dir)
		case err == nil:
			if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
				_ = os.RemoveAll(dir)
			}
			_ = lock.Close()
		}
	}
}

// mine reports whether a file is this user's.
func mine(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Getuid()
}
