package raftgroup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/metadb"
	wsegment "github.com/hashicorp/raft-wal/segment"

	"github.com/hibana-engine/hibana/engine/disk"
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

// openStorage opens Raft's files in a data directory; the log's are of segment
// bytes, 0 for segmentSize. fail is called when the disk fails or hangs.
func openStorage(d *DataDir, segment int, log *slog.Logger, fail func(error)) (*storage, error) {
	path, err := d.Sub("raft")
	if err != nil {
		return nil, err
	}
	if _, err := d.Sub("snapshots"); err != nil { // which Raft would make for everybody to read
		return nil, err
	}
	logger := raftLogger(log)
	store := &watchedStore{path: path, fail: fail}
	meta := &metadb.BoltMetaDB{}
	filer := wsegment.NewFiler(path, &segments{fs.New(), store.broke})
	w, err := wal.Open(path, wal.WithLogger(logger), wal.WithSegmentSize(cmp.Or(segment, segmentSize)), wal.WithMetaStore(meta), wal.WithSegmentFiler(filer))
	if err != nil {
		_ = meta.Close() // the first error says more
		return nil, openError(path, err)
	}
	store.Store = w
	snapshots, err := openSnapshots(d, log)
	if err != nil {
		return nil, errors.Join(err, w.Close(), meta.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &storage{wal: w, meta: meta, store: store, snapshots: snapshots, stop: stop}
	s.watching.Go(func() { s.store.watch(ctx) })
	return s, nil
}

// openError says why Raft's log can't be opened.
func openError(path string, err error) error {
	if errors.Is(err, ErrDisk) { // see segments
		return err
	}
	if full := disk.Explain(path, err); full != err {
		return fmt.Errorf("%w: %w; make room and start it again", ErrDisk, full)
	}
	return fmt.Errorf("%w: Raft's log in %s: %w; if the files are damaged, move the data directory away and start with an empty one and --replace",
		ErrDataDir, path, err)
}

// close closes the files. Raft has been shut down before.
func (s *storage) close() error {
	s.stop()
	s.watching.Wait()
	return errors.Join(s.wal.Close(), s.meta.Close())
}
