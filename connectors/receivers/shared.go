package receivers

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hibana-engine/hibana/connectors/receivers/segments"
	"github.com/hibana-engine/hibana/engine"
	"github.com/hibana-engine/hibana/rdd/files"
)

// sharedPlanner plans what is received on executors, where all machines of a cluster reach it.
// Each start of the receiver writes a log of its own, in a directory beside those of earlier
// ones, and tells of each file that it has written. The planner plans what is in all logs, and
// looks now and then for what it wasn't told: so what was stored is read, also by an executor
// or for a driver that didn't know yet that another one had taken its place.
//
// THREADING: Told, Lost and Notify are for everybody, the rest is the generator's.
type sharedPlanner struct {
	source
	state
	bucket   *files.Bucket
	mark     string                     // an empty directory beside the logs: where it isn't seen, the logs aren't either
	news     news                       // what was told since the last plan
	logs     map[string][]segments.File // that are known and weren't removed, ascending, by the names of their logs
	looked   time.Time                  // when logs were looked for; zero if it never was
	tried    time.Time                  // when the last look ended; zero if there was none
	failed   error                      // how it did
	patience time.Duration              // how long the next look may take
	complete map[string]int64           // by log: records before this one are in batches that are complete
	recorded map[string]int64           // complete as of the last plan: the log of batches has it
	sweeper  *sweeper
}

// lookEvery is how often a driver looks for what it wasn't told of.
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

// openShared opens the logs of a stream for this driver.
func openShared(ctx context.Context, s source) (*sharedPlanner, error) {
	bucket, err := s.at.Open(ctx)
	if err != nil {
		return nil, err
	}
	mark := newName() + markEnd
	if err := bucket.MakeDir(path.Join(s.at.Key, mark)); err != nil {
		return nil, errors.Join(fmt.Errorf("making a directory for what is received: %w", err), bucket.Close())
	}
	return &sharedPlanner{
		source: s, bucket: bucket, mark: mark, logs: make(map[string][]segments.File), patience: lookTimeout, sweeper: newSweeper(s, bucket),
	}, nil
}

// markEnd ends the name of a driver's mark.
const markEnd = "-driver"

// newName returns the name of a directory beside a stream's logs. Logs are read in the order in
// which they began, as far as the machines' clocks agree.
func newName() string {
	return fmt.Sprintf("%0*d-%s", nameDigits, time.Now().UnixNano(), strings.ToLower(rand.Text()[:8]))
}

// nameDigits are how many digits of a name say when it was made.
const nameDigits = 19

// Close ends the planning.
func (l *sharedPlanner) Close() error {
	l.sweeper.close()
	l.removeDir(context.Background(), l.mark)
	return l.bucket.Close()
}

// Told implements engine.Receiving.
func (l *sharedPlanner) Told(encoded []byte) {
	m, err := decodeMessage(encoded)
	switch {
	case err != nil:
		l.logger.Error("what a receiver tells can't be read", "stream", l.op, "err", err)
	case m.Log == "":
		l.note(m.Held)
	case m.file() == segments.File{}:
		l.news.begin(m.Log)
		l.note("")
	default:
		l.news.add(m)
		l.tell()
	}
}

// Lost implements engine.Receiving.
func (l *sharedPlanner) Lost(why string) {
	l.news.begin("")
	l.note("nothing is received: " + why)
}

// Plan takes what the batch may hold of all logs, of each what wasn't planned yet.
func (l *sharedPlanner) Plan(ctx context.Context, req engine.PlanRequest) (plan engine.Plan, err error) {
	var before sharedRanges
	if req.Previous != nil {
		if before, err = decodeShared(req.Previous); err != nil {
			return plan, fmt.Errorf("the records of the batch before: %w", err)
		}
	}
	plan.Held, plan.HeldSince = l.holds()
	if err := l.look(ctx); err != nil {
		if ctx.Err() != nil {
			return plan, err
		}
		plan.Held, plan.HeldSince = fmt.Sprintf("what was received before can't be listed, and is looked for again: %v", err), time.Time{}
	}
	for _, m := range l.news.take() {
		l.logs[m.Log] = with(l.logs[m.Log], m.file())
	}
	if err := l.release(req.Kept); err != nil {
		return plan, err
	}
	var r sharedRanges
	var parts []part
	most := min(mostFiles*max(1, int(req.Interval/time.Second)), maxFiles)
	for _, name := range l.names(before) {
		at := position{Log: name, From: before.next(name)}
		at.Next = at.From
		for _, f := range l.logs[name] {
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
// batch before that had files at the last look, if there was one, or since, and others that have.
func (l *sharedPlanner) names(before sharedRanges) (names []string) {
	for _, at := range before.Logs {
		if _, there := l.logs[at.Log]; there || l.looked.IsZero() {
			names = append(names, at.Log)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.logs)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// look finds what is stored, now and then. Until it is time for the next look it
// says how the last one ended.
func (l *sharedPlanner) look(ctx context.Context) error {
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

// lookNow finds what is stored, beside what is known.
func (l *sharedPlanner) lookNow(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, l.patience, fmt.Errorf("it took longer than %s", l.patience))
	defer cancel()
	written := l.news.written() // once: what wasn't listed mustn't be taken for one without files
	found, err := l.found(ctx, written)
	if err != nil {
		return err
	}
	l.merge(found, written)
	l.removeEmpty(ctx, found, written)
	return nil
}

// found lists the logs that are there, by their names, but the one that is written: of that one all
// is told, in order, and what is listed while files come may lack one and have the next.
func (l *sharedPlanner) found(ctx context.Context, written string) (map[string][]segments.File, error) {
	dirs, err := l.bucket.Dirs(ctx, l.at.Key)
	if err != nil {
		return nil, err
	}
	if l.at.IsLocal() && !slices.Contains(dirs, l.mark) {
		return nil, fmt.Errorf("%s is gone: see that it is mounted", l.bucket.Name(path.Join(l.at.Key, l.mark)))
	}
	found := make(map[string][]segments.File)
	for _, name := range dirs {
		if name == written {
			continue
		}
		if found[name], err = l.list(ctx, name); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// merge takes in the logs that were found while one was written. One without files is forgotten,
// but that one.
func (l *sharedPlanner) merge(found map[string][]segments.File, written string) {
	for name, list := range found {
		l.logs[name] = with(l.logs[name], list...)
	}
	maps.DeleteFunc(l.logs, func(name string, list []segments.File) bool { return len(list) == 0 && name != written })
}

// emptyFor is how old a directory without files is that is removed, as far as the machines' clocks
// agree: into a newer one somebody may be about to write who isn't known yet.
const emptyFor = 10 * time.Minute

// removeEmpty removes the directories that were found without files, of logs and of drivers that
// have ended. The mark of a newer driver stays, which has taken this one's place.
func (l *sharedPlanner) removeEmpty(ctx context.Context, found map[string][]segments.File, written string) {
	for name, list := range found {
		isMark := strings.HasSuffix(name, markEnd)
		if len(list) == 0 && len(l.logs[name]) == 0 && name != written && age(name) > emptyFor && !(isMark && name >= l.mark) {
			l.removeDir(ctx, name)
		}
	}
}

// age returns how long ago a name was made, 0 if newName hasn't.
func age(name string) time.Duration {
	at, _, _ := strings.Cut(name, "-")
	if nano, err := strconv.ParseInt(at, 10, 64); err == nil && len(at) == nameDigits {
		return time.Since(time.Unix(0, nano))
	}
	return 0
}

// removeDir removes a directory unless there is something in it, or it can't be removed: then the
// next look may. Buckets have no empty directories.
func (l *sharedPlanner) removeDir(ctx context.Context, name string) {
	if l.at.IsLocal() {
		_ = l.bucket.Remove(ctx, path.Join(l.at.Key, name))
	}
}

// list returns the files of a log. One that isn't known to have ended may still be written, by an
// executor that doesn't know that it is out: if there are new files it is listed once more, and what
// has come since the first time is left to the next look. So none is missing before the last one.
func (l *sharedPlanner) list(ctx context.Context, name string) ([]segments.File, error) {
	dir := path.Join(l.at.Key, name)
	list, err := segments.List(ctx, l.bucket, dir)
	n := len(list)
	if err != nil || n == 0 || len(with(slices.Clip(l.logs[name]), list...)) == len(l.logs[name]) {
		return list, err
	}
	last := list[n-1].First
	list, err = segments.List(ctx, l.bucket, dir)
	return slices.DeleteFunc(list, func(f segments.File) bool { return f.First > last }), err
}

// with returns a log's files, ascending, with others of the log, some of which may be in it.
func with(list []segments.File, others ...segments.File) []segments.File {
	for _, f := range others {
		at, there := slices.BinarySearchFunc(list, f.First, func(in segments.File, first int64) int { return cmp.Compare(in.First, first) })
		if !there {
			list = slices.Insert(list, at, f) // at the end, as a rule
		}
	}
	return list
}

// release removes what no batch reads any more: before the first one that isn't complete, and
// before the first that others reach back to, whose ranges are kept.
func (l *sharedPlanner) release(kept []byte) error {
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
	for name, list := range l.logs {
		l.logs[name] = l.sweep(name, list, before(name)) // also if none are left: until they aren't seen any more the log's position counts
	}
	l.recorded = l.complete
	return nil
}

// sweep has the files of a log removed whose records all come before the given one, and returns
// the others, with those that are left to the next time because too many wait to be removed.
func (l *sharedPlanner) sweep(name string, list []segments.File, before int64) []segments.File {
	return slices.DeleteFunc(list, func(f segments.File) bool {
		return f.Until() <= before && l.sweeper.remove(path.Join(l.at.Key, name), f)
	})
}

// Completed notes that a batch's records were read.
func (l *sharedPlanner) Completed(_ context.Context, encoded []byte) error {
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
