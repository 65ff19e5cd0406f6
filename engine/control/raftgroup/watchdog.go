package raftgroup

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"

	"github.com/hibana-engine/hibana/engine/disk"
)

// stallTimeout is how long a write to Raft's log may take. Plain Raft goes on
// sending heartbeats while its disk hangs, and so leads for ever without doing
// anything.
const stallTimeout = 5 * time.Second

// Store is what raft-wal is to Raft.
type Store interface {
	raft.LogStore
	raft.StableStore
}

// watchedStore passes on to a store, watches how long writes take and reports
// the first that fails. Raft writes from two goroutines: one stores, the other
// deletes what a snapshot covers.
//
// After a failure nothing is written any more: what is on disk is what was
// acknowledged, and perhaps a little more.
type watchedStore struct {
	Store
	path string
	fail func(error) // called with what went wrong, from any goroutine

	mu      sync.Mutex
	writes  map[*write]bool // under way
	failure error           // the first
}

// write is one write under way.
type write struct{ began time.Time }

// IsMonotonic tells Raft that the log has no gaps, as raft-wal demands.
func (w *watchedStore) IsMonotonic() bool {
	m, ok := w.Store.(raft.MonotonicLogStore)
	return ok && m.IsMonotonic()
}

// do runs one write.
func (w *watchedStore) do(f func() error) error {
	one, err := w.begin()
	if err != nil {
		return err
	}
	err = f()
	w.mu.Lock()
	delete(w.writes, one)
	w.mu.Unlock()
	if err == nil {
		return nil
	}
	return w.broke(err)
}

// begin records a write, or returns why there are none any more.
func (w *watchedStore) begin() (*write, error) {
	one := &write{time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure != nil {
		return nil, w.failure
	}
	if w.writes == nil {
		w.writes = make(map[*write]bool)
	}
	w.writes[one] = true
	return one, nil
}

// broke reports a failure, of which the first counts, and returns it.
func (w *watchedStore) broke(err error) error {
	w.mu.Lock()
	if w.failure == nil {
		err = disk.Explain(w.path, err)
		if disk.Full(err) {
			err = fmt.Errorf("%w; make room and start it again, nothing that was acknowledged is lost", err)
		}
		w.failure = fmt.Errorf("%w: %w", ErrDisk, err)
	}
	err = w.failure
	w.mu.Unlock()
	w.fail(err)
	return err
}

// promise runs a write without which Raft doesn't go on: it panics when it can't
// store its term. Its goroutine ends here instead. It decides nothing more then,
// which is right, and the node ends.
func (w *watchedStore) promise(f func() error) error {
	if w.do(f) != nil {
		runtime.Goexit()
	}
	return nil
}

// slowest returns how long the oldest write has been under way.
func (w *watchedStore) slowest() (longest time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.writes {
		longest = max(longest, time.Since(one.began))
	}
	return longest
}

// StoreLog stores a log entry.
func (w *watchedStore) StoreLog(l *raft.Log) error {
	return w.do(func() error { return w.Store.StoreLog(l) })
}

// StoreLogs stores log entries.
func (w *watchedStore) StoreLogs(logs []*raft.Log) error {
	return w.do(func() error { return w.Store.StoreLogs(logs) })
}

// DeleteRange deletes log entries.
func (w *watchedStore) DeleteRange(first, last uint64) error {
	return w.do(func() error { return w.Store.DeleteRange(first, last) })
}

// Set stores a vote.
func (w *watchedStore) Set(key, value []byte) error {
	return w.promise(func() error { return w.Store.Set(key, value) })
}

// SetUint64 stores a term.
func (w *watchedStore) SetUint64(key []byte, value uint64) error {
	return w.promise(func() error { return w.Store.SetUint64(key, value) })
}

// watch reports a write that takes too long, until ctx ends.
func (w *watchedStore) watch(ctx context.Context) {
	tick := time.NewTicker(stallTimeout / 10)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if d := w.slowest(); d > stallTimeout {
				w.fail(fmt.Errorf("%w: %s: a write has been under way for %s", ErrDisk, w.path, d.Round(time.Second)))
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// segments is the file system on which raft-wal keeps its log. It begins a new
// file in a goroutine of its own, and only logs why it couldn't.
type segments struct {
	*fs.FS
	broke func(error) error
}

// Create creates a file of Raft's log.
func (s *segments) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := s.FS.Create(dir, name, size)
	if err != nil {
		return nil, s.broke(fmt.Errorf("a new file of Raft's log: %w", err))
	}
	return f, nil
}
