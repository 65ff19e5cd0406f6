package dirlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/hibana-engine/hibana/engine/batchlog"
	"github.com/hibana-engine/hibana/engine/disk"
)

// Log is a batchlog.Log in a directory. It is safe for concurrent use.
type Log struct {
	dir  string
	log  *slog.Logger
	lock *os.File

	mu      sync.Mutex
	state   batchlog.State
	epoch   uint64
	segment *os.File
	number  int   // of the segment
	size    int64 // of the segment, up to the last whole entry
	began   int64 // size with which the segment began, if this process made it
	limit   int64 // size at which a segment is replaced, unless it began with more than half of it
	failed  error // an earlier write left the segment in an unknown state
	made    made  // what this process has made
}

// made says what wasn't there before a process opened a log.
type made struct{ dir, log bool }

// segmentLimit is the size in bytes at which a segment is replaced.
const segmentLimit = 1 << 20

// Open opens the batch log in a directory, which is made if need be. One process
// at a time may have it open; another gets [batchlog.ErrLocked].
func Open(dir string, log *slog.Logger) (*Log, error) {
	_, err := os.Stat(dir)
	isNew := errors.Is(err, fs.ErrNotExist)
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	l := &Log{dir: dir, log: log, lock: lock, limit: segmentLimit, made: made{dir: isNew}}
	if err := l.open(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return l, nil
}

// lockDir makes a directory and locks it. A job that was refused may remove it between the two.
func lockDir(dir string) (lock *os.File, err error) {
	for range 3 {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("making the checkpoint directory: %w", err)
		}
		if lock, err = disk.Lock(dir, batchlog.ErrLocked); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return lock, err
}

// Write makes the log of a state in a directory that has none.
func Write(dir string, s *batchlog.State, epoch uint64) (err error) {
	l, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if l.state.Header != nil {
		return fmt.Errorf("%s has a batch log already", dir)
	}
	l.state, l.epoch, l.made = s.Clone(), epoch, made{} // also one of a job that hasn't begun stays
	return l.replace(l.number + 1)
}

// open reads the newest segment, or makes the first.
func (l *Log) open() error {
	numbers, err := segments(l.dir)
	if err != nil {
		return err
	}
	if len(numbers) == 0 {
		l.made.log = true
		return l.replace(1)
	}
	l.number = numbers[len(numbers)-1]
	if err := l.read(); err != nil {
		return err
	}
	for _, old := range numbers[:len(numbers)-1] { // a replacement was interrupted after its rename
		if err := os.Remove(l.path(old)); err != nil {
			return errors.Join(fmt.Errorf("removing an old segment: %w", err), l.segment.Close())
		}
	}
	return nil
}

// Holds reports whether there is a batch log in a directory, which need not be there.
// It writes nothing.
func Holds(dir string) (bool, error) {
	numbers, err := segments(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return len(numbers) > 0, err
}

// segments returns the numbers of the segments in a directory, ascending.
func segments(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint directory: %w", err)
	}
	var numbers []int
	for _, e := range entries {
		var n int
		if _, err := fmt.Sscanf(e.Name(), "batches-%d.log", &n); err == nil && e.Name() == segmentName(n) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

func (l *Log) path(n int) string { return filepath.Join(l.dir, segmentName(n)) }

func segmentName(n int) string { return fmt.Sprintf("batches-%08d.log", n) }

// read replays the newest segment and opens it for appending. What a crash
// left half written at its end is cut off, with a warning. A segment of the old
// format is replaced by one of the state that it holds. A log in which no batch was
// planned begins anew.
func (l *Log) read() error {
	path := l.path(l.number)
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the batch log: %w", err)
	}
	r := reader{state: &l.state, epoch: &l.epoch}
	whole, err := readFrames(b, r.apply, r.applyOld)
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if whole < int64(len(b)) {
		l.log.Warn("cut off a half-written entry at the end of the batch log", "file", path, "offset", whole, "bytes", int64(len(b))-whole)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("opening the batch log: %w", err)
	}
	if l.state.Last.Seq == 0 { // no batch was planned: what was recorded, values, may be what was in the way
		l.state, whole = batchlog.State{}, min(whole, int64(len(logMagic)))
	}
	if bytes.HasPrefix(b, []byte(logMagicOld)) {
		l.segment = f
		return l.replace(l.number + 1)
	}
	if err := f.Truncate(whole); err != nil {
		return errors.Join(fmt.Errorf("cutting the batch log: %w", err), f.Close())
	}
	l.segment, l.size = f, whole
	return nil
}

// Recover returns what is recorded.
func (l *Log) Recover(context.Context) (batchlog.State, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Clone(), l.epoch, nil
}

// Start records a header in place of the one before.
func (l *Log) Start(_ context.Context, header []byte) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	epoch := l.epoch + 1
	if err := l.state.Restart(header, l.writes(true, entry{Header: header, Epoch: epoch})); err != nil {
		return 0, err
	}
	l.epoch = epoch
	return epoch, nil
}

// RecordValue syncs a value to the disk.
func (l *Log) RecordValue(_ context.Context, v batchlog.Value) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.state.Record(len(l.state.Values), v, 0, l.writes(true, entry{Value: &v}))
	return err
}

// Allocate syncs a batch to the disk, and the completions before it.
func (l *Log) Allocate(_ context.Context, b batchlog.Batch, done ...batchlog.Completion) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > max(l.limit, 2*l.began) {
		if err := l.replace(l.number + 1); err != nil {
			return err
		}
	}
	for _, c := range done {
		if err := l.complete(c); err != nil {
			return err
		}
	}
	b.Epoch = l.epoch
	_, err := l.state.Allocate(b, nil, 0, l.writes(true, entry{Batch: &b}))
	return err
}

// Complete writes a completion. It is on the disk with the next allocation.
func (l *Log) Complete(_ context.Context, c batchlog.Completion) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.complete(c)
}

// complete is Complete with mu held.
func (l *Log) complete(c batchlog.Completion) error {
	_, err := l.state.Complete([]batchlog.Completion{c}, l.writes(false, entry{Completion: &c}))
	return err
}

// writes returns what makes a change durable: writing its entry.
func (l *Log) writes(sync bool, e entry) batchlog.Commit {
	return func(int) error { return l.append(sync, e) }
}

// append writes entries behind the last whole one. After an error the segment
// is cut back, so that a full disk leaves a readable log.
func (l *Log) append(sync bool, entries ...entry) error {
	if l.failed != nil {
		return l.failed
	}
	frames, err := encodeEntries(entries)
	if err != nil {
		return err
	}
	_, err = l.segment.WriteAt(frames, l.size)
	if err == nil && sync {
		err = l.segment.Sync()
	}
	if err != nil {
		l.failed = fmt.Errorf("writing the checkpoint in %s: %w; make room and start again: the job goes on where it was", l.dir, err)
		return errors.Join(l.failed, l.segment.Truncate(l.size))
	}
	l.size += int64(len(frames))
	return nil
}

// replace makes segment n of the state so far, then drops the one before it.
func (l *Log) replace(n int) error {
	frames, err := encodeEntries(snapshot(&l.state, l.epoch))
	if err != nil {
		return err
	}
	frames = append([]byte(logMagic), frames...)
	temp := l.path(n) + ".new"
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("making a segment of the batch log: %w", err)
	}
	_, err = f.Write(frames)
	if err = errors.Join(err, f.Sync()); err == nil {
		err = errors.Join(os.Rename(temp, l.path(n)), disk.SyncDir(l.dir))
	}
	if err != nil {
		l.failed = fmt.Errorf("writing a segment of the batch log in %s: %w", l.dir, err) // which one counts isn't known
		return errors.Join(l.failed, f.Close())
	}
	old, oldNumber := l.segment, l.number
	l.segment, l.number, l.size, l.began = f, n, int64(len(frames)), int64(len(frames))
	if old == nil {
		return nil
	}
	if err := errors.Join(old.Close(), os.Remove(l.path(oldNumber))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing an old segment: %w", err)
	}
	return nil
}

// Close syncs and closes the log and gives up the lock. Of a job that was refused before it
// had begun nothing stays.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.segment == nil {
		return nil
	}
	err := errors.Join(l.segment.Sync(), l.segment.Close())
	if l.made.log && l.state.Header == nil && l.state.Last.Seq == 0 {
		err = errors.Join(err, l.remove())
	}
	l.segment = nil
	return errors.Join(err, l.lock.Close())
}

// remove removes what this process has made. It has the lock until then.
func (l *Log) remove() error {
	err := errors.Join(os.Remove(l.path(l.number)), os.Remove(l.lock.Name()))
	if l.made.dir {
		_ = os.Remove(l.dir) // unless somebody has put something there
	}
	return err
}
