package receivers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/connectors/receivers/segments"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd/files"
)

// sharedLog keeps what is received where all machines of a cluster reach it. Each driver of the
// job writes a log of its own, in a directory beside those of earlier ones, and plans what is in
// all of them: so what an earlier driver has stored is read, also what it stores when it
// doesn't know yet that it is none any more.
//
// Appending is safe for concurrent use, the rest is the generator's.
type sharedLog struct {
	*segments.Writer
	source
	bucket   *files.Bucket
	own      string                     // name of this driver's log
	others   map[string][]segments.File // of other drivers, by the names of their logs
	looked   time.Time                  // when others was found; zero if it never was
	tried    time.Time                  // when the last look ended; zero if there was none
	failed   error                      // how it did
	patience time.Duration              // how long the next look may take
	complete map[string]int64           // by log: records before this one are in batches that are complete
	recorded map[string]int64           // complete as of the last plan: the log of batches has it
	sweeper  *sweeper
}

// lookEvery is how often a driver looks for what others have stored.
const lookEvery = 10 * time.Second

// Such a look, for which the batch waits, may take lookTimeout; behind one that failed the next
// one twice as long, up to the longest.
const (
	lookTimeout    = 5 * time.Second
	longestTimeout = 2 * time.Minute
)

// A batch reads mostFiles at most for each second of its interval, up to maxFiles.
const (
	mostFiles = 1000
	maxFiles  = 60 * mostFiles
)

// openShared opens the log of a stream for this driver.
func openShared(ctx context.Context, s source) (*sharedLog, error) {
	bucket, err := s.at.Open(ctx)
	if err != nil {
		return nil, err
	}
	// Drivers' logs are read in the order in which they began.
	own := fmt.Sprintf("%019d-%s", time.Now().UnixNano(), strings.ToLower(rand.Text()[:8]))
	if err := bucket.MakeDir(path.Join(s.at.Key, own)); err != nil {
		return nil, errors.Join(fmt.Errorf("making a directory for what is received: %w", err), bucket.Close())
	}
	return &sharedLog{
		Writer: segments.NewWriter(bucket, path.Join(s.at.Key, own), s.options.maxBytes),
		source: s, bucket: bucket, own: own, patience: lookTimeout, sweeper: newSweeper(s, bucket),
	}, nil
}

// Close ends the log.
func (l *sharedLog) Close() error {
	l.Writer.Close()
	l.sweeper.close()
	return l.bucket.Close()
}

// plan takes what the batch may hold of all logs, of each what wasn't planned yet.
func (l *sharedLog) plan(ctx context.Context, req engine.PlanRequest) (plan engine.Plan, err error) {
	var before sharedRanges
	if req.Previous != nil {
		if before, err = decodeShared(req.Previous); err != nil {
			return plan, fmt.Errorf("the records of the batch before: %w", err)
		}
	}
	if err := l.look(ctx); err != nil {
		if ctx.Err() != nil {
			return plan, err
		}
		plan.Held = fmt.Sprintf("what earlier drivers of the job have received can't be listed, and is looked for again: %v", err)
	}
	if err := l.release(req.Kept); err != nil {
		return plan, err
	}
	var r sharedRanges
	var parts []part
	most := min(mostFiles*max(1, int(req.Interval/time.Second)), maxFiles)
	for _, name := range l.names(before) {
		list := l.others[name]
		if name == l.own {
			list = l.Files()
		}
		at := position{Log: name, From: before.next(name)}
		at.Next = at.From
		for _, f := range list {
			over := req.Budget > 0 && float64(plan.Records+f.Records) > req.Budget || len(parts) == most
			switch {
			case f.First < at.Next: // it was planned before
			case plan.Backlog > 0 || over && len(parts) > 0:
				plan.Backlog += f.Records
			default:
				plan.Records += f.Records
				parts = append(parts, part{len(r.Logs), f})
				at.Next = f.Until()
			}
		}
		r.Logs = append(r.Logs, at)
	}
	r.Partitions = dealt(parts, plan.Records, l.parallelism)
	plan.Ranges, err = r.encode()
	return plan, err
}

// names returns the logs that a batch is made of, in the order in which they are read: those of the
// batch before that had files at the last look, if there was one, others that had some, and this
// driver's.
func (l *sharedLog) names(before sharedRanges) (names []string) {
	for _, at := range before.Logs {
		if _, there := l.others[at.Log]; there || at.Log == l.own || l.looked.IsZero() {
			names = append(names, at.Log)
		}
	}
	for _, name := range append(slices.Sorted(maps.Keys(l.others)), l.own) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// look finds what other drivers have stored, now and then. Until it is time for the next look it
// says how the last one ended.
func (l *sharedLog) look(ctx context.Context) error {
	if !l.tried.IsZero() && time.Since(l.tried) < lookEvery {
		return l.failed
	}
	err := l.lookNow(ctx)
	l.tried, l.failed = time.Now(), err
	if err != nil {
		l.patience = min(2*l.patience, longestTimeout)
	} else {
		l.looked, l.patience = l.tried, lookTimeout
	}
	return err
}

// lookNow finds what other drivers have stored.
func (l *sharedLog) lookNow(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, l.patience, fmt.Errorf("it took longer than %s", l.patience))
	defer cancel()
	dirs, err := l.bucket.Dirs(ctx, l.at.Key)
	if err != nil {
		return err
	}
	if l.at.IsLocal() && !slices.Contains(dirs, l.own) {
		return fmt.Errorf("%s is gone: see that it is mounted", l.bucket.Name(path.Join(l.at.Key, l.own)))
	}
	others := make(map[string][]segments.File)
	for _, name := range dirs {
		if name == l.own {
			continue
		}
		list, err := segments.List(ctx, l.bucket, path.Join(l.at.Key, name))
		if err != nil {
			return err
		}
		if len(list) > 0 {
			others[name] = list
		}
	}
	l.others = others
	return nil
}

// release removes what no batch reads any more: before the first one that isn't complete, and
// before the first that others reach back to, whose ranges are kept.
func (l *sharedLog) release(kept []byte) error {
	var first sharedRanges
	if kept != nil {
		var err error
		if first, err = decodeShared(kept); err != nil {
			return fmt.Errorf("the records of an earlier batch: %w", err)
		}
	}
	before := func(name string) int64 {
		if kept == nil {
			return l.recorded[name]
		}
		return min(l.recorded[name], first.from(name))
	}
	var left int64
	for name, list := range l.others {
		list = l.sweep(name, list, before(name))
		for _, f := range list {
			left += f.Bytes
		}
		l.others[name] = list // also if none are left: until they aren't seen any more the log's position counts
	}
	l.sweep(l.own, l.Files(), before(l.own))
	l.Forget(before(l.own), left)
	l.recorded = l.complete
	return nil
}

// sweep has the files of a log removed whose records all come before the given one, and returns
// the others.
func (l *sharedLog) sweep(name string, list []segments.File, before int64) []segments.File {
	return slices.DeleteFunc(list, func(f segments.File) bool {
		gone := f.Until() <= before
		if gone {
			l.sweeper.remove(path.Join(l.at.Key, name), f)
		}
		return gone
	})
}

// completed notes that a batch's records were read.
func (l *sharedLog) completed(encoded []byte) error {
	r, err := decodeShared(encoded)
	if err != nil {
		return err
	}
	l.complete = make(map[string]int64, len(r.Logs))
	for _, at := range r.Logs {
		l.complete[at.Log] = at.Next
	}
	return nil
}

// dealt deals parts of so many records, in their order, to so many partitions at most.
func dealt(parts []part, records int64, partitions int) (dealt [][]part) {
	var taken int64
	for _, p := range parts {
		if taken*int64(partitions) >= records*int64(len(dealt)) {
			dealt = append(dealt, nil)
		}
		last := &dealt[len(dealt)-1]
		*last = append(*last, p)
		taken += p.Records
	}
	return dealt
}

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

// mostRemovals are how many files may wait to be removed; those beyond are, by the next driver.
const mostRemovals = maxFiles

// newSweeper starts a sweeper, which close ends.
func newSweeper(s source, bucket *files.Bucket) *sweeper {
	ctx, stop := context.WithCancel(context.Background())
	w := &sweeper{source: s, bucket: bucket, gone: make(chan removal, mostRemovals), stop: stop, ended: make(chan struct{})}
	go w.run(ctx)
	return w
}

// remove has a file removed. It doesn't wait.
func (w *sweeper) remove(dir string, f segments.File) {
	select {
	case w.gone <- removal{dir, f}:
	default:
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
