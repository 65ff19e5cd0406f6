package receivers

import (
	"context"
	"time"

	"github.com/hibana-engine/hibana/connectors/receivers/segments"
	"github.com/hibana-engine/hibana/rdd/files"
)

// sweeper removes files beside the planning of batches, which has no time to wait for it.
type sweeper struct {
	source
	bucket *files.Bucket
	gone   chan removal
	stop   context.CancelFunc
	ended  chan struct{}
}

// removal is a file to be removed from a directory.
type removal struct {
	dir  string
	file segments.File
}

// mostRemovals are how many files may wait to be removed.
const mostRemovals = maxFiles

// newSweeper starts a sweeper, which close ends.
func newSweeper(s source, bucket *files.Bucket) *sweeper {
	ctx, stop := context.WithCancel(context.Background())
	w := &sweeper{source: s, bucket: bucket, gone: make(chan removal, mostRemovals), stop: stop, ended: make(chan struct{})}
	go w.run(ctx)
	return w
}

// remove has a file removed. It doesn't wait: it reports false if too many files do.
func (w *sweeper) remove(dir string, f segments.File) bool {
	select {
	case w.gone <- removal{dir, f}:
		return true
	default:
		return false
	}
}

// run removes files until there are no more, or ctx ends. What is left is removed by the next
// driver, when it has planned behind it.
func (w *sweeper) run(ctx context.Context) {
	defer close(w.ended)
	for r := range w.gone {
		if !w.sweep(ctx, r) {
			return
		}
	}
}

// sweep removes a file, and tries it again until it is gone. It reports false if ctx ends before.
func (w *sweeper) sweep(ctx context.Context, r removal) bool {
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, longestPause) {
		err := segments.Remove(ctx, w.bucket, r.dir, r.file)
		if err == nil {
			return true
		}
		w.logger.Warn("what was received and is processed can't be removed, it is tried again", "stream", w.op, "pause", pause, "err", err)
		if !slept(ctx, pause) {
			return false
		}
	}
	return false
}

// sweepPatience is how long close waits for files to be removed.
const sweepPatience = 5 * time.Second

// close ends the sweeper when it has removed what it was given, or after a while.
func (w *sweeper) close() {
	close(w.gone)
	patience := time.AfterFunc(sweepPatience, w.stop)
	<-w.ended
	patience.Stop()
	w.stop()
}
