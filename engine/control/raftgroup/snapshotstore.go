package raftgroup

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/disk"
)

// snapshotStore keeps Raft's snapshots in files. Raft's own store leaves what it
// couldn't write lying, on a disk that is full as it is.
type snapshotStore struct {
	*raft.FileSnapshotStore
	dir string

	mu      sync.Mutex
	writing map[string]bool // by id
}

// unfinished ends the names of snapshots that aren't whole.
const unfinished = ".tmp"

// openSnapshots opens the snapshots in a data directory.
func openSnapshots(d *DataDir, log *slog.Logger) (*snapshotStore, error) {
	files, err := raft.NewFileSnapshotStoreWithLogger(d.Path, keptSnapshots, raftLogger(log))
	if err != nil {
		return nil, fmt.Errorf("%w: snapshots: %w", ErrDataDir, disk.Explain(d.Path, err))
	}
	s := &snapshotStore{FileSnapshotStore: files, dir: filepath.Join(d.Path, "snapshots"), writing: make(map[string]bool)}
	if err := s.clean(); err != nil {
		return nil, fmt.Errorf("%w: snapshots: %w", ErrDataDir, err)
	}
	return s, nil
}

// Create begins a snapshot.
func (s *snapshotStore) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, at uint64, t raft.Transport) (raft.SnapshotSink, error) {
	s.mu.Lock()
	sink, err := s.FileSnapshotStore.Create(v, index, term, c, at, t)
	if err == nil {
		s.writing[sink.ID()] = true
	}
	s.mu.Unlock()
	if err != nil {
		return nil, errors.Join(disk.Explain(s.dir, err), s.clean())
	}
	return &snapshotSink{sink, s}, nil
}

// ended records that the writing of a snapshot has ended. One that failed leaves
// nothing.
func (s *snapshotStore) ended(id string, err error) error {
	s.mu.Lock()
	delete(s.writing, id)
	s.mu.Unlock()
	if err == nil {
		return nil
	}
	return errors.Join(disk.Explain(s.dir, err), s.clean())
}

// clean removes snapshots that aren't whole and that nobody writes.
func (s *snapshotStore) clean() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("removing unfinished snapshots: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), unfinished); ok && !s.writing[id] {
			errs = append(errs, os.RemoveAll(filepath.Join(s.dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// snapshotSink takes a snapshot's bytes.
type snapshotSink struct {
	raft.SnapshotSink
	store *snapshotStore
}

// Write appends to the snapshot.
func (s *snapshotSink) Write(b []byte) (int, error) {
	n, err := s.SnapshotSink.Write(b)
	return n, disk.Explain(s.store.dir, err)
}

// Close completes the snapshot.
func (s *snapshotSink) Close() error { return s.store.ended(s.ID(), s.SnapshotSink.Close()) }

// Cancel drops it.
func (s *snapshotSink) Cancel() error { return s.store.ended(s.ID(), s.SnapshotSink.Cancel()) }
