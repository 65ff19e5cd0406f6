package block

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/hibana-engine/hibana/rdd/task"
)

// Disk is where a process puts what doesn't fit into its memory: files in a directory
// of its own, which is made when the first file is. It is safe for concurrent use.
type Disk struct {
	parent string
	open   Open

	mu     sync.Mutex
	dir    string // "" before the first file
	lock   *os.File
	next   int
	files  map[string]struct{} // paths of those that are there
	closed bool
}

// Open opens a file, as os.OpenFile does.
type Open func(path string, flag int, perm os.FileMode) (*os.File, error)

// OpenBy has files of blocks opened for writing by another function than os.OpenFile, such
// as one that plays a disk without room. It is called before the first file is made.
func (d *Disk) OpenBy(open Open) { d.open = open }

// NewDisk returns a disk whose directory will be in parent, "" for the system's
// directory of temporary files. Close removes it.
func NewDisk(parent string) *Disk {
	if parent == "" {
		parent = os.TempDir()
	}
	return &Disk{parent: parent, open: os.OpenFile, files: make(map[string]struct{})}
}

// Files returns how many files there are.
func (d *Disk) Files() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.files)
}

// Close removes the directory and makes no more files.
func (d *Disk) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	clear(d.files)
	if d.dir == "" {
		return nil
	}
	err := errors.Join(os.RemoveAll(d.dir), d.lock.Close())
	d.dir = ""
	if err != nil {
		return fmt.Errorf("removing the files of blocks: %w", err)
	}
	return nil
}

// create makes a file.
func (d *Disk) create() (f *os.File, path string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, "", fmt.Errorf("making a file for blocks: %w", ErrClosed)
	}
	if d.dir == "" {
		if err := d.makeDir(); err != nil {
			return nil, "", d.failed("making a directory for blocks", err)
		}
	}
	path = filepath.Join(d.dir, strconv.Itoa(d.next))
	f, err = d.open(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, "", d.failed("making a file for blocks", err)
	}
	d.next++
	d.files[path] = struct{}{}
	return f, path, nil
}

// remove removes a file, if it is still there.
func (d *Disk) remove(path string) {
	d.mu.Lock()
	_, there := d.files[path]
	delete(d.files, path)
	d.mu.Unlock()
	if there {
		_ = os.Remove(path) // what stays goes with the directory
	}
}

// failed says what to do about an error of writing.
func (d *Disk) failed(doing string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = fmt.Errorf("%w: make room there, set local.dir to a directory on a larger disk, or raise executor.memory: %w", ErrDiskFull, err)
	}
	return &task.WriteError{Err: fmt.Errorf("%s in %s: %w", doing, d.parent, err)}
}
