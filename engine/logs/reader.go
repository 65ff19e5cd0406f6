package logs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// reader reads a log from some place on, over the borders of its files. It is
// used by one goroutine; the log may grow and rotate meanwhile.
//
// Invariant: a file's number never changes while its name does, so that a reader
// knows where it is. What is moved out while it reads it has open; if more is
// moved out than there are files, it goes on with the oldest.
type reader struct {
	log    *Log
	number int      // of the file
	f      *os.File // nil before it is opened
	offset int64
}

// newReader returns a reader of the last tail bytes, all that is kept for 0. It
// is an error that says fs.ErrNotExist if nothing is.
func newReader(l *Log, tail int64) (*reader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &reader{log: l, number: l.number + 1}
	var found bool
	for i := range l.limits.files {
		info, err := os.Stat(fileName(l.path, i))
		if errors.Is(err, fs.ErrNotExist) {
			break // there is none older
		}
		if err != nil {
			return nil, fmt.Errorf("reading a job's log: %w", err)
		}
		found = true
		r.number = l.number - i
		if tail == 0 {
			continue
		}
		if tail <= info.Size() {
			r.offset = info.Size() - tail
			break
		}
		tail -= info.Size()
	}
	if !found {
		return nil, fmt.Errorf("reading a job's log: %w", fs.ErrNotExist)
	}
	return r, nil
}

// read reads what comes next into b. At the end of a log that may grow it
// returns a channel that is closed when it has; at that of a closed one io.EOF.
func (r *reader) read(b []byte) (n int, wait <-chan struct{}, err error) {
	for {
		if r.f == nil {
			if err := r.open(); err != nil {
				return 0, nil, err
			}
		}
		n, err := r.f.ReadAt(b, r.offset)
		r.offset += int64(n)
		if n > 0 {
			return n, nil, nil
		}
		if !errors.Is(err, io.EOF) {
			return 0, nil, fmt.Errorf("reading a job's log: %w", err)
		}
		more, wait, err := r.atEnd()
		if !more {
			return 0, wait, err
		}
	}
}

// atEnd decides what to do at the end of a file: read on if something was
// written since or there is a newer file, else wait.
func (r *reader) atEnd() (more bool, wait <-chan struct{}, err error) {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	// Under mu nothing is written: what the file has now it keeps.
	info, err := r.f.Stat()
	if err != nil {
		return false, nil, fmt.Errorf("reading a job's log: %w", err)
	}
	switch {
	case info.Size() > r.offset:
		return true, nil, nil
	case r.number < r.log.number:
		r.close()
		r.number++
		r.offset = 0
		return true, nil, nil
	case r.log.closed:
		return false, nil, io.EOF
	}
	if r.log.changed == nil {
		r.log.changed = make(chan struct{})
	}
	return false, r.log.changed, nil
}

// open opens the file that the reader is at, or the oldest that there is.
func (r *reader) open() error {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	if oldest := r.log.number - r.log.limits.files + 1; r.number < oldest {
		r.number, r.offset = oldest, 0
	}
	f, err := os.Open(fileName(r.log.path, r.log.number-r.number))
	if err != nil {
		return fmt.Errorf("reading a job's log: %w", err)
	}
	r.f = f
	return nil
}

// close closes the file.
func (r *reader) close() {
	if r.f != nil {
		_ = r.f.Close() // it was read only
		r.f = nil
	}
}
