package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// limits bound a log.
type limits struct {
	fileSize int64 // bytes of a file; one write may go over it
	files    int   // the newest is path, then path.1, path.2
}

// defaultLimits allow a job 24 MiB on a node.
func defaultLimits() limits { return limits{fileSize: 8 << 20, files: 3} }

// Log is a job's output on this node. It is safe for concurrent use. Writing
// never fails: a process mustn't die because its output can't be kept. What
// couldn't be written is counted, and told in the log when writing works again.
type Log struct {
	path    string
	limits  limits
	onClose func()

	mu      sync.Mutex
	f       *os.File      // nil when it is closed, or can't be opened
	size    int64         // of the newest file
	number  int           // of the newest file, counted from when the log was opened
	lost    int64         // bytes that couldn't be written
	cause   error         // why
	changed chan struct{} // closed with the next change; nil if nobody waits
	closed  bool
}

// Open opens a log to append to, and makes its directory.
func Open(path string) (*Log, error) { return open(path, defaultLimits()) }

func open(path string, l limits) (*Log, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("opening a job's log: %w", err)
	}
	log := &Log{path: path, limits: l}
	if err := log.reopen(); err != nil {
		return nil, err
	}
	return log, nil
}

// reopen opens the newest file.
func (l *Log) reopen() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening a job's log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("opening a job's log: %w", err), f.Close())
	}
	l.f, l.size = f, info.Size()
	return nil
}

// Write appends b.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, fs.ErrClosed
	}
	if l.size > 0 && l.size+int64(len(b)) > l.limits.fileSize {
		l.rotate()
	}
	if l.f == nil {
		l.lose(int64(len(b)), l.reopen())
	}
	if l.f != nil {
		l.append(b)
	}
	l.wake()
	return len(b), nil
}

// append writes to the newest file, first of all what was lost before.
func (l *Log) append(b []byte) {
	if l.lost > 0 {
		note := fmt.Sprintf("\n[%d bytes of output are missing here: %v]\n", l.lost, l.cause)
		n, err := l.f.WriteString(note)
		l.size += int64(n)
		if err != nil {
			l.lose(int64(len(b)), err)
			return
		}
		l.lost, l.cause = 0, nil
	}
	n, err := l.f.Write(b)
	l.size += int64(n)
	if err != nil {
		l.lose(int64(len(b)-n), err)
	}
}

// lose counts what couldn't be written.
func (l *Log) lose(n int64, cause error) {
	if cause != nil {
		l.lost += n
		l.cause = cause
	}
}

// rotate moves the files one on; the oldest is replaced.
func (l *Log) rotate() {
	if l.f != nil {
		_ = l.f.Close() // an error of writing was seen by Write
		l.f = nil
	}
	for i := l.limits.files - 1; i > 0; i-- {
		_ = os.Rename(fileName(l.path, i-1), fileName(l.path, i)) // not all are there at first
	}
	l.number++
	l.size = 0
	l.cause = l.reopen()
}

// wake tells those that follow. It is called with mu held.
func (l *Log) wake() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// Close closes the log: those that follow it come to its end.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.wake()
	var err error
	if l.f != nil {
		err = l.f.Close()
		l.f = nil
	}
	l.mu.Unlock()
	if l.onClose != nil {
		l.onClose()
	}
	return err
}

// fileName returns the name of the i-th newest file.
func fileName(path string, i int) string {
	if i == 0 {
		return path
	}
	return fmt.Sprintf("%s.%d", path, i)
}
