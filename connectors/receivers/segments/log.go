package segments

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hibana-engine/hibana/engine/disk"
)

// Log is a log that is open for appending. It is safe for concurrent use.
type Log struct {
	options Options
	lock    *os.File

	mu       sync.Mutex
	segments []*segment // ascending; the last one is appended to
	out      *os.File   // the last one
	dirty    bool       // something was appended that isn't on the disk yet
	room     room
	failed   error // it is closed, or an earlier write left the segment in an unknown state
}

// Options say how a log is kept.
type Options struct {
	Dir     string
	Most    int64 // bytes that the log may have
	Durable bool  // Sync brings what was appended onto the disk
	Logger  *slog.Logger
}

// segment is a file of the log.
type segment struct {
	first int64  // number of its first record
	ends  []mark // of its stretches, ascending: the last one is its end
}

// mark is a place in a segment where a frame ends.
type mark struct{ bytes, record int64 }

// end returns the segment's end.
func (s *segment) end() mark {
	if len(s.ends) == 0 {
		return mark{int64(len(head)), s.first}
	}
	return s.ends[len(s.ends)-1]
}

// stretch is about how many bytes lie between two marks.
const stretch = 64 << 10

// grow takes in a frame behind the segment's end.
func (s *segment) grow(bytes, records int64) {
	end := s.end()
	end.bytes, end.record = end.bytes+bytes, end.record+records
	begin := int64(len(head))
	if n := len(s.ends); n > 1 {
		begin = s.ends[n-2].bytes
	}
	if n := len(s.ends); n > 0 && s.ends[n-1].bytes-begin < stretch {
		s.ends[n-1] = end
	} else {
		s.ends = append(s.ends, end)
	}
}

// Segments of a log are so many at least when it is full, each of so many bytes at most, and a
// frame.
const (
	leastSegments = 8
	mostSegment   = 16 << 20
)

// Open opens the log in a directory, which is made if need be. Only one process may have it
// open, another gets [ErrLocked].
func Open(o Options) (*Log, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of a segment log: %w", err)
	}
	lock, err := disk.Lock(o.Dir, ErrLocked)
	if err != nil {
		return nil, err
	}
	l := &Log{options: o, lock: lock, room: newRoom()}
	if err := l.open(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return l, nil
}

// open reads what is in the directory.
func (l *Log) open() error {
	entries, err := os.ReadDir(l.options.Dir)
	if err != nil {
		return fmt.Errorf("reading the directory of a segment log: %w", err)
	}
	for _, e := range entries {
		var first int64
		if _, err := fmt.Sscanf(e.Name(), "%d.segment", &first); err == nil && e.Name() == segmentName(first) {
			l.segments = append(l.segments, &segment{first: first})
		}
	}
	if len(l.segments) == 0 {
		return l.begin(0)
	}
	slices.SortFunc(l.segments, func(a, b *segment) int { return cmp.Compare(a.first, b.first) })
	for i, s := range l.segments {
		isLast := i == len(l.segments)-1
		if err := l.scan(s, isLast); err != nil {
			return err
		}
		if !isLast && s.end().record != l.segments[i+1].first {
			return fmt.Errorf("%w: %s ends before record %d, and record %d begins the next segment", ErrDamaged, l.path(s.first), s.end().record, l.segments[i+1].first)
		}
	}
	return l.reopen()
}

// scan finds the frames of a segment. If it is the last, what isn't whole at its end is cut off by
// reopen.
func (l *Log) scan(s *segment, isLast bool) error {
	f, err := os.Open(l.path(s.first))
	if err != nil {
		return fmt.Errorf("opening a segment: %w", err)
	}
	defer func() { _ = f.Close() }() // all that was wanted is read
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("opening a segment: %w", err)
	}
	err = s.read(bufio.NewReaderSize(f, stretch), info.Size())
	if err != nil && (!isLast || !errors.Is(err, ErrDamaged)) {
		return fmt.Errorf("%s at byte %d: %w", f.Name(), s.end().bytes, err)
	}
	return nil
}

// read takes in the frames of a segment of so many bytes.
func (s *segment) read(r io.Reader, size int64) error {
	begin := make([]byte, len(head))
	switch _, err := io.ReadFull(r, begin); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: its head is cut off", ErrDamaged)
	case err != nil:
		return err
	case string(begin) == head:
	case strings.HasPrefix(head, strings.TrimRight(string(begin), "\x00")): // the file had grown, and its data wasn't written
		return fmt.Errorf("%w: its head is cut off", ErrDamaged)
	default:
		return fmt.Errorf("%w: it begins with %q", ErrFormat, begin)
	}
	for {
		payload, err := readFrame(r, size-s.end().bytes)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		n := int64(0)
		for _, err := range recordsOf(payload) {
			if err != nil {
				return err
			}
			n++
		}
		s.grow(int64(len(payload))+frameHead, n)
	}
}

// reopen opens the last segment for appending, without what isn't whole at its end.
func (l *Log) reopen() error {
	s := l.last()
	f, err := os.OpenFile(l.path(s.first), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("opening a segment: %w", err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() != s.end().bytes {
		l.options.Logger.Warn("records that were being written when the process or the machine stopped are cut off",
			"segment", f.Name(), "from_byte", s.end().bytes, "bytes", info.Size()-s.end().bytes)
	}
	if err == nil && len(s.ends) == 0 { // perhaps its head isn't there
		_, err = f.WriteAt([]byte(head), 0)
	}
	if err = errors.Join(err, f.Truncate(s.end().bytes)); err == nil {
		_, err = f.Seek(0, io.SeekEnd)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("opening a segment: %w", err), f.Close())
	}
	l.out, l.dirty = f, true
	return nil
}

func (l *Log) last() *segment { return l.segments[len(l.segments)-1] }

func (l *Log) path(first int64) string { return segmentPath(l.options.Dir, first) }

func segmentPath(dir string, first int64) string { return filepath.Join(dir, segmentName(first)) }

func segmentName(first int64) string { return fmt.Sprintf("%019d.segment", first) }

// begin begins a new segment.
func (l *Log) begin(first int64) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("beginning a segment: %w", disk.Explain(l.options.Dir, err))
		}
	}()
	if l.out != nil {
		if err := l.sync(); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(l.path(first), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.WriteString(head); err == nil && l.options.Durable {
		err = disk.SyncDir(l.options.Dir)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if l.out != nil {
		err = l.out.Close()
	}
	l.out, l.dirty, l.segments = f, true, append(l.segments, &segment{first: first})
	return err
}

// Append appends records, and returns when a reader on this machine can have them. While the log
// is full it waits for [Log.Release].
func (l *Log) Append(ctx context.Context, records ...[]byte) error {
	return inFrames(records, l.options.Most, func(frame []byte, n int64) error { return l.append(ctx, frame, n) })
}

// append appends a frame of so many records.
func (l *Log) append(ctx context.Context, b []byte, n int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.room.await(ctx, &l.mu, func() bool { return l.failed == nil && l.size()+int64(len(b)) > l.options.Most }); err != nil {
		return err
	}
	if l.failed != nil {
		return l.failed
	}
	s := l.last()
	if s.end().bytes >= min(mostSegment, l.options.Most/leastSegments) {
		if err := l.begin(s.end().record); err != nil {
			return err
		}
		s = l.last()
	}
	l.dirty = true
	if _, err := l.out.Write(b); err != nil {
		err = fmt.Errorf("appending to %s: %w", l.out.Name(), disk.Explain(l.options.Dir, err))
		at := s.end().bytes
		_, seek := l.out.Seek(at, io.SeekStart)
		if undo := errors.Join(l.out.Truncate(at), seek); undo != nil {
			l.failed = errors.Join(err, undo)
		}
		return err
	}
	s.grow(int64(len(b)), n)
	return nil
}

// size returns how many bytes the log has. mu is held.
func (l *Log) size() (n int64) {
	for _, s := range l.segments {
		n += s.end().bytes
	}
	return n
}

// Full reports whether a record may have to wait for room.
func (l *Log) Full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size()+stretch > l.options.Most
}

// Sync makes what was appended survive the machine's crash, if the log is a durable one.
func (l *Log) Sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sync()
}

func (l *Log) sync() error {
	if l.failed != nil { // that it goes well the next time means nothing
		return l.failed
	}
	if !l.dirty || !l.options.Durable {
		return nil
	}
	if err := l.out.Sync(); err != nil {
		l.failed = fmt.Errorf("bringing %s onto the disk: %w", l.out.Name(), err) // nobody knows what is there now
		return l.failed
	}
	l.dirty = false
	return nil
}

// Release deletes segments whose records all come before the given one.
func (l *Log) Release(before int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.failed, ErrClosed) { // the directory may be another process's now
		return l.failed
	}
	var err error
	gone := 0
	for gone < len(l.segments)-1 && l.segments[gone].end().record <= before {
		if err = os.Remove(l.path(l.segments[gone].first)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("deleting a segment that was read: %w", err)
			break // what is left has no gaps
		}
		err = nil
		gone++
	}
	if gone > 0 {
		l.segments = slices.Delete(l.segments, 0, gone)
		l.room.free()
	}
	return err
}

// Close closes the log. Who appends, or waits for room, gets [ErrClosed] then.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.failed, ErrClosed) {
		return l.failed
	}
	err := l.sync()
	l.failed = ErrClosed
	l.room.free()
	return errors.Join(err, l.out.Close(), l.lock.Close())
}
