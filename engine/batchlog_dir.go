package engine

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
	"syscall"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hibana-engine/hibana/engine/disk"
)

// dirLog is a BatchLog in a directory: segments of framed entries. Allocations
// are synced to the disk; completions are written at once and synced with the
// next allocation. A segment that has grown is replaced by a new one that
// begins with the state so far.
type dirLog struct {
	dir  string
	log  *slog.Logger
	lock *os.File

	mu      sync.Mutex
	state   LogState
	segment *os.File
	number  int   // of the segment
	size    int64 // of the segment, up to the last whole entry
	limit   int64 // size at which a segment is replaced
	failed  error // an earlier write left the segment in an unknown state
}

// segmentLimit is the size in bytes at which a segment is replaced.
const segmentLimit = 1 << 20

// logEntry is one entry; one field is set.
type logEntry struct {
	Header     *JobHeader  `msgpack:"h,omitempty"`
	Epoch      uint64      `msgpack:"e,omitempty"` // with Header
	Value      *NamedValue `msgpack:"v,omitempty"`
	Allocation []byte      `msgpack:"a,omitempty"`
	Last       bool        `msgpack:"l,omitempty"` // with Allocation: newest one, complete already
	Completion *Completion `msgpack:"c,omitempty"`
}

// OpenDirLog opens the batch log in a directory, which is made if need be. One
// process at a time may have it open; another gets [ErrLocked].
func OpenDirLog(dir string, log *slog.Logger) (BatchLog, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the checkpoint directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	l := &dirLog{dir: dir, log: log, lock: lock, limit: segmentLimit}
	if err := l.open(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return l, nil
}

// lockDir takes the directory's lock, which the kernel drops with the process.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the checkpoint directory's lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%w: %s: stop the other process or use another directory", ErrLocked, dir)
	}
	return f, nil
}

// open reads the newest segment, or makes the first.
func (l *dirLog) open() error {
	numbers, err := l.segments()
	if err != nil {
		return err
	}
	if len(numbers) == 0 {
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

// segments returns the numbers of the segments in the directory, ascending.
func (l *dirLog) segments() ([]int, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint directory: %w", err)
	}
	var numbers []int
	for _, e := range entries {
		var n int
		if _, err := fmt.Sscanf(e.Name(), "batches-%d.log", &n); err == nil && e.Name() == filepath.Base(l.path(n)) {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

func (l *dirLog) path(n int) string { return filepath.Join(l.dir, fmt.Sprintf("batches-%08d.log", n)) }

// read replays the newest segment and opens it for appending. What a crash
// left half written at its end is cut off, with a warning. A segment of the old
// format is replaced by one of the state that it holds.
func (l *dirLog) read() error {
	path := l.path(l.number)
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the batch log: %w", err)
	}
	whole, err := readFrames(b, func(payload []byte) error { return l.apply(payload) })
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

// apply adds an entry to the state.
func (l *dirLog) apply(payload []byte) error {
	var e logEntry
	if err := msgpack.Unmarshal(payload, &e); err != nil {
		return fmt.Errorf("%w: %w", ErrCorruptLog, err)
	}
	switch {
	case e.Header != nil:
		l.state.start(*e.Header)
		l.state.Epoch = e.Epoch
	case e.Value != nil:
		l.state.Values = append(l.state.Values, *e.Value)
	case e.Allocation != nil:
		a, err := DecodeAllocation(e.Allocation)
		if err != nil {
			return err
		}
		l.state.allocate(a)
		if e.Last {
			l.state.complete(Completion{a.Seq, batchDone})
		}
	case e.Completion != nil:
		l.state.complete(*e.Completion)
	default:
		return fmt.Errorf("%w: an entry of a kind that this program doesn't know", ErrFormat)
	}
	return nil
}

func (l *dirLog) Recover(context.Context) (LogState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.clone(), nil
}

func (l *dirLog) Start(_ context.Context, h JobHeader) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	epoch := l.state.Epoch + 1
	if err := l.append(true, logEntry{Header: &h, Epoch: epoch}); err != nil {
		return 0, err
	}
	return l.state.start(h), nil
}

func (l *dirLog) RecordValue(_ context.Context, v NamedValue) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.append(true, logEntry{Value: &v}); err != nil {
		return err
	}
	l.state.Values = append(l.state.Values, v)
	return nil
}

func (l *dirLog) Allocate(_ context.Context, a *BatchAllocation) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, err := a.Encode()
	if err != nil {
		return err
	}
	if l.size > l.limit {
		if err := l.replace(l.number + 1); err != nil {
			return err
		}
	}
	if err := l.append(true, logEntry{Allocation: b}); err != nil {
		return err
	}
	l.state.allocate(a)
	return nil
}

func (l *dirLog) Complete(_ context.Context, c Completion) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.append(false, logEntry{Completion: &c}); err != nil {
		return err
	}
	l.state.complete(c)
	return nil
}

// append writes entries behind the last whole one. After an error the segment
// is cut back, so that a full disk leaves a readable log.
func (l *dirLog) append(sync bool, entries ...logEntry) error {
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

// encodeEntries returns the frames of entries.
func encodeEntries(entries []logEntry) ([]byte, error) {
	var frames []byte
	for i := range entries {
		payload, err := msgpack.Marshal(&entries[i])
		if err != nil {
			return nil, fmt.Errorf("encoding an entry of the batch log: %w", err)
		}
		if len(payload) > maxFrame {
			return nil, fmt.Errorf("an entry of the batch log has %d bytes, %d are allowed: record less in Value and PerBatch", len(payload), maxFrame)
		}
		frames = appendFrame(frames, payload)
	}
	return frames, nil
}

// replace makes segment n of the state so far, then drops the one before it.
func (l *dirLog) replace(n int) error {
	entries, err := l.snapshot()
	if err != nil {
		return err
	}
	frames, err := encodeEntries(entries)
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
	l.segment, l.number, l.size = f, n, int64(len(frames))
	if old == nil {
		return nil
	}
	if err := errors.Join(old.Close(), os.Remove(l.path(oldNumber))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing an old segment: %w", err)
	}
	return nil
}

// snapshot returns entries that add up to the state.
func (l *dirLog) snapshot() ([]logEntry, error) {
	var entries []logEntry
	if s := &l.state; s.Header != nil {
		entries = append(entries, logEntry{Header: s.Header, Epoch: s.Epoch})
	}
	for i := range l.state.Values {
		entries = append(entries, logEntry{Value: &l.state.Values[i]})
	}
	add := func(a *BatchAllocation, complete bool) error {
		b, err := a.Encode()
		entries = append(entries, logEntry{Allocation: b, Last: complete})
		return err
	}
	pending := l.state.Incomplete
	for _, p := range pending {
		if err := add(p.Allocation, false); err != nil {
			return nil, err
		}
		for _, out := range p.Done {
			entries = append(entries, logEntry{Completion: &Completion{p.Allocation.Seq, out}})
		}
	}
	if last := l.state.Last; last != nil && (len(pending) == 0 || pending[len(pending)-1].Allocation.Seq < last.Seq) {
		if err := add(last, true); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// Close syncs and closes the log and gives up the lock.
func (l *dirLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.segment == nil {
		return nil
	}
	err := errors.Join(l.segment.Sync(), l.segment.Close(), l.lock.Close())
	l.segment = nil
	return err
}
