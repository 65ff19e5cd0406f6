package control

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// stallTimeout is how long a write to Raft's log may take. Plain Raft goes on
// sending heartbeats while its disk hangs, and so leads for ever without doing
// anything.
const stallTimeout = 5 * time.Second

// store is what raft-wal is to Raft.
type store interface {
	raft.LogStore
	raft.StableStore
}

// watchedStore passes on to a store, watches how long writes take and reports
// the first that fails. Raft writes from two goroutines: one stores, the other
// deletes what a snapshot covers.
type watchedStore struct {
	store
	path string
	fail func(error) // called with what went wrong, from any goroutine

	mu     sync.Mutex
	writes map[*write]bool // under way
}

// write is one write under way.
type write struct{ began time.Time }

// IsMonotonic tells Raft that the log has no gaps, as raft-wal demands.
func (w *watchedStore) IsMonotonic() bool {
	m, ok := w.store.(raft.MonotonicLogStore)
	return ok && m.IsMonotonic()
}

// do runs one write.
func (w *watchedStore) do(f func() error) error {
	one := &write{time.Now()}
	w.mu.Lock()
	if w.writes == nil {
		w.writes = make(map[*write]bool)
	}
	w.writes[one] = true
	w.mu.Unlock()
	err := f()
	w.mu.Lock()
	delete(w.writes, one)
	w.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("%w: %s: %w", ErrDisk, w.path, err)
		w.fail(err)
	}
	return err
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
	return w.do(func() error { return w.store.StoreLog(l) })
}

// StoreLogs stores log entries.
func (w *watchedStore) StoreLogs(logs []*raft.Log) error {
	return w.do(func() error { return w.store.StoreLogs(logs) })
}

// DeleteRange deletes log entries.
func (w *watchedStore) DeleteRange(first, last uint64) error {
	return w.do(func() error { return w.store.DeleteRange(first, last) })
}

// Set stores a vote.
func (w *watchedStore) Set(key, value []byte) error {
	return w.do(func() error { return w.store.Set(key, value) })
}

// SetUint64 stores a term.
func (w *watchedStore) SetUint64(key []byte, value uint64) error {
	return w.do(func() error { return w.store.SetUint64(key, value) })
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
