package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"
)

// segmentSize is the size of a file of Raft's log, preallocated.
const segmentSize = 16 << 20

// storage is what a node's Raft keeps on disk.
type storage struct {
	wal       *wal.WAL
	meta      *metadb.BoltMetaDB // the log's, which it opens and doesn't close
	store     *watchedStore
	snapshots raft.SnapshotStore
	stop      context.CancelFunc
	watching  sync.WaitGroup
}

// openStorage opens Raft's files in a data directory. fail is told when the disk
// fails or hangs.
func openStorage(d *dataDir, log *slog.Logger, fail func(error)) (*storage, error) {
	path, err := d.sub("raft")
	if err != nil {
		return nil, err
	}
	logger := raftLogger(log)
	meta := &metadb.BoltMetaDB{}
	w, err := wal.Open(path, wal.WithLogger(logger), wal.WithSegmentSize(segmentSize), wal.WithMetaStore(meta))
	if err != nil {
		_ = meta.Close() // the first error says more
		return nil, fmt.Errorf("%w: Raft's log in %s: %w; if the files are damaged, move the data directory away and start with an empty one and --replace", ErrDataDir, path, err)
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(d.path, keptSnapshots, logger)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: snapshots: %w", ErrDataDir, err), w.Close(), meta.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &storage{wal: w, meta: meta, store: &watchedStore{store: w, path: path, fail: fail}, snapshots: snapshots, stop: stop}
	s.watching.Go(func() { s.store.watch(ctx) })
	return s, nil
}

// close closes the files. Raft has been shut down before.
func (s *storage) close() error {
	s.stop()
	s.watching.Wait()
	return errors.Join(s.wal.Close(), s.meta.Close())
}
