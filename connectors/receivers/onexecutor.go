package receivers

import (
	"context"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/connectors/receivers/segments"
	"github.com/hibana-engine/hibana/rdd/files"
)

// sharedPatience is how long a receiver that appends to a shared log is waited for, which may be
// writing a file.
const sharedPatience = 35 * time.Second

// Receive implements engine.Receiver: it receives on an executor, into a log of its own that all
// machines reach.
func (in *input[T]) Receive(ctx context.Context, tell func(message []byte)) {
	receiveShared(ctx, in.source, teller{send: tell})
}

// receiveShared opens a log and calls the receiver, until ctx ends or nothing more comes.
func receiveShared(ctx context.Context, s source, t teller) {
	notes := &notes{teller: t}
	var log *ownLog
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		var err error
		if log, err = openOwn(ctx, s, t); err == nil {
			break
		}
		notes.note(fmt.Sprintf("nothing is received: %v; it is tried again after %s", err, pause))
		if !slept(ctx, pause) {
			return
		}
	}
	notes.begin(log.name)
	c := &caller{source: s, append: log.Append, note: notes.note}
	var work sync.WaitGroup
	roomCtx, stop := context.WithCancel(ctx)
	work.Go(func() { log.makeRoom(roomCtx, notes) })
	c.begin(ctx)
	select {
	case <-c.ended:
	case <-ctx.Done():
		c.await(sharedPatience)
	}
	stop()
	work.Wait()
	if err := log.close(); err != nil {
		s.logger.Warn("closing a log of what is received", "stream", s.op, "err", err)
	}
}

// ownLog is the log that one start of a receiver writes.
type ownLog struct {
	*segments.Writer
	source
	bucket *files.Bucket
	name   string
}

// openOwn opens a log, as one of a stream's.
func openOwn(ctx context.Context, s source, t teller) (l *ownLog, err error) {
	bucket, err := s.at.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = bucket.Close() // nothing was written
		}
	}()
	l = &ownLog{source: s, bucket: bucket, name: newName()}
	dir := path.Join(s.at.Key, l.name)
	l.Writer = segments.NewWriter(bucket, dir, s.options.maxBytes, func(f segments.File) { t.tell(messageOf(l.name, f)) })
	if s.at.IsLocal() { // it isn't made here: nobody else would see it
		there, err := bucket.Dirs(ctx, path.Dir(s.at.Key))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(there, path.Base(s.at.Key)) {
			return nil, fmt.Errorf("%s isn't there: %w", bucket.Name(s.at.Key), errNotShared)
		}
	}
	if err := l.count(ctx); err != nil {
		return nil, err
	}
	if err := bucket.MakeDir(dir); err != nil {
		return nil, fmt.Errorf("making a directory for what is received: %w", err)
	}
	return l, nil
}

// A log in which an append waits for room is looked at within firstPause, then again after pauses
// that double up to roomEvery.
const roomEvery = time.Second

// makeRoom looks what of the log the driver has removed, until ctx ends: while an append waits for
// room, and now and then. If one still waits, notes are told that the log is full.
func (l *ownLog) makeRoom(ctx context.Context, notes *notes) {
	full := fullLog(l.source)
	looked := time.Now()
	for pause := firstPause; slept(ctx, pause); {
		if l.Lacks() || l.isDue(looked) {
			looked = time.Now()
			if err := l.count(ctx); err != nil && ctx.Err() == nil {
				l.logger.Warn("what is left of what was received can't be listed, to see whether there is room for more; it is tried again", "stream", l.op, "err", err)
			}
		}
		if l.Lacks() {
			notes.note(full)
			pause = min(2*pause, roomEvery)
		} else {
			notes.withdraw(full)
			pause = firstPause
		}
	}
}

// isDue reports whether it is time to look again although no append waits: else files would be kept
// in mind for ever that were removed.
func (l *ownLog) isDue(looked time.Time) bool {
	n, since := l.Unseen(), time.Since(looked)
	return n > 0 && since >= lookEvery || n >= mostFiles && since >= roomEvery
}

// count looks how much there is in all logs of the stream.
func (l *ownLog) count(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, longestTimeout)
	defer cancel()
	dirs, err := l.bucket.Dirs(ctx, l.at.Key)
	if err != nil {
		return err
	}
	var others segments.Amount
	for _, name := range dirs {
		if name == l.name {
			continue
		}
		list, err := segments.List(ctx, l.bucket, path.Join(l.at.Key, name))
		if err != nil {
			return err
		}
		others.Add(list...)
	}
	return l.Look(ctx, others)
}

// close ends the log.
func (l *ownLog) close() error {
	l.Writer.Close()
	return l.bucket.Close()
}
