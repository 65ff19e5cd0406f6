package segments

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/rdd/files"
)

// Writer appends records to files in a bucket, or in a directory that several machines reach: each
// file is there when it is whole. One process writes, into a directory of its own; others may
// list and read what is there. It is safe for concurrent use.
type Writer struct {
	bucket *files.Bucket
	dir    string
	most   int64
	tell   func(File)
	turn   chan struct{} // held by who writes a file

	mu      sync.Mutex
	files   []File // that are there, as far as is known, ascending
	has     int64  // bytes of files
	next    int64  // number of the next record
	settled int64  // files of records before this one are written, or have failed
	unseen  int    // files that are settled since Look
	waiting *unwritten
	pending int64  // bytes that wait, or are being written
	others  Amount // what doesn't belong to this log and counts with it
	room    room
	lacking []int64 // bytes of the appends that wait for room
	closed  bool
}

// File is a file of a log.
type File struct {
	First   int64 // number of its first record
	Records int64
	Bytes   int64
}

// Amount is how much there is of files.
type Amount struct {
	Files int
	Bytes int64
}

// Add adds files.
func (a *Amount) Add(files ...File) {
	a.Files += len(files)
	for _, f := range files {
		a.Bytes += f.Bytes
	}
}

// Until returns the number of the record behind the file.
func (f File) Until() int64 { return f.First + f.Records }

// unwritten is what the next file will hold: what several appended while the one before it was
// written.
type unwritten struct {
	data    []byte
	records int64
	written chan struct{} // closed when err says what became of it
	err     error
	waits   int // appends that wait for it
}

// A log may have a file for each perFile of its bytes, mostFiles at most: whoever lists it keeps
// them all in memory.
const (
	perFile   = 4 << 10
	mostFiles = 1 << 20
)

// NewWriter returns a log in a directory of a bucket that no other process writes to, which may
// have so many bytes, and a file for each 4 KiB of them, 1,048,576 at most. tell is told of each
// file when it is there, in order; of one that is there although writing it has failed when
// [Writer.Look] finds it. It must return at once, and any goroutine may call it.
func NewWriter(bucket *files.Bucket, dir string, most int64, tell func(File)) *Writer {
	return &Writer{bucket: bucket, dir: dir, most: most, tell: tell, turn: make(chan struct{}, 1), room: newRoom()}
}

// Append appends records, and returns when they are in the bucket. While the log is full it waits
// for [Writer.Look]. If it returns an error they may be there all the same.
func (w *Writer) Append(ctx context.Context, records ...[]byte) error {
	return inFrames(records, w.most, func(frame []byte, n int64) error {
		u, err := w.join(ctx, frame, n)
		if err != nil {
			return err
		}
		select {
		case <-u.written:
		case w.turn <- struct{}{}: // what waits, u if it still does, is written now
			w.write(context.WithoutCancel(ctx))
			<-w.turn
			<-u.written
		case <-ctx.Done():
			w.leave(u)
			return context.Cause(ctx)
		}
		return u.err
	})
}

// join adds a frame of so many records to what waits to be written.
func (w *Writer) join(ctx context.Context, frame []byte, n int64) (*unwritten, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := int64(len(frame))
	if err := w.await(ctx, size); err != nil {
		return nil, err
	}
	if w.closed {
		return nil, ErrClosed
	}
	if w.waiting == nil {
		w.waiting = &unwritten{written: make(chan struct{})}
	}
	w.waiting.data = append(w.waiting.data, frame...)
	w.waiting.records += n
	w.waiting.waits++
	w.pending += size
	return w.waiting, nil
}

// await waits until there is room for so many bytes, or the log is closed. mu is held, but not
// meanwhile.
func (w *Writer) await(ctx context.Context, size int64) error {
	w.lacking = append(w.lacking, size)
	defer func() {
		i := slices.Index(w.lacking, size)
		w.lacking = slices.Delete(w.lacking, i, i+1)
	}()
	return w.room.await(ctx, &w.mu, func() bool { return !w.closed && (w.isOver(size) || w.fills(size)) })
}

// isOver reports whether the log has no room for so many bytes. mu is held.
func (w *Writer) isOver(size int64) bool {
	return w.has+w.others.Bytes+w.pending+size > w.most || int64(len(w.files)+w.others.Files) >= min(w.most/perFile, mostFiles)
}

// fills reports whether the next file has no room for so many bytes more. A frame that is larger
// than a file has one for itself. mu is held.
func (w *Writer) fills(size int64) bool {
	return w.waiting != nil && int64(len(w.waiting.data))+size > mostSegment
}

// leave is told that an append doesn't wait any more. What no append waits for isn't written:
// nobody would write it.
func (w *Writer) leave(u *unwritten) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u.waits--; u.waits == 0 && u == w.waiting {
		w.pending -= int64(len(u.data))
		w.waiting = nil
		w.room.free()
	}
}

// writeTimeout bounds how long a file is written.
const writeTimeout = 30 * time.Second

// write writes what waits. The numbers of its records are never given again, since a file that
// couldn't be written, as it seemed, may still come.
func (w *Writer) write(ctx context.Context) {
	w.mu.Lock()
	u := w.waiting
	if u == nil {
		w.mu.Unlock()
		return
	}
	f := File{w.next, u.records, int64(len(u.data))}
	w.waiting, w.next = nil, f.Until()
	w.room.free() // in the file behind it
	w.mu.Unlock()

	ctx, cancel := context.WithTimeoutCause(ctx, writeTimeout, fmt.Errorf("it took longer than %s", writeTimeout))
	defer cancel()
	err := w.bucket.Write(ctx, f.key(w.dir), u.data)

	w.mu.Lock()
	w.settled = f.Until()
	w.unseen++
	if w.pending -= f.Bytes; err == nil {
		w.files = append(w.files, f)
		w.has += f.Bytes
	} else {
		w.room.free()
	}
	w.mu.Unlock()
	if u.err = err; err == nil {
		w.tell(f)
	}
	close(u.written)
}

// Lacks reports whether an append waits for which there is no room.
func (w *Writer) Lacks() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.lacking, w.isOver)
}

// Unseen returns how many files were written since [Writer.Look], or perhaps were.
func (w *Writer) Unseen() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unseen
}

// Files returns the files that are there, as far as is known, ascending.
func (w *Writer) Files() []File {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.files)
}

// Look lists the log, and forgets the files that were removed. One that is there although writing
// it has failed counts from now on, and is told of: so it is removed some day, as others are.
// others is what counts with the log, beside it.
func (w *Writer) Look(ctx context.Context, others Amount) error {
	w.mu.Lock()
	settled, unseen := w.settled, w.unseen
	w.mu.Unlock()
	list, err := List(ctx, w.bucket, w.dir)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(f File) bool { return f.First >= settled }) // it may be in files by now, or not
	w.mu.Lock()
	known := make(map[int64]bool, len(w.files))
	for _, f := range w.files {
		if known[f.First] = true; f.First >= settled { // since then
			list = append(list, f)
		}
	}
	var sum Amount
	sum.Add(list...)
	w.files, w.has, w.others = list, sum.Bytes, others
	w.unseen -= unseen
	w.room.free()
	w.mu.Unlock()
	for _, f := range list {
		if !known[f.First] {
			w.tell(f)
		}
	}
	return nil
}

// Close ends the log. Who appends, or waits for room, gets [ErrClosed] then.
func (w *Writer) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.room.free()
}

// key returns the file's key below a directory.
func (f File) key(dir string) string { return path.Join(dir, f.name()) }

func (f File) name() string { return fmt.Sprintf("%019d-%d.records", f.First, f.Records) }

// List returns the files of a log that is in a directory of a bucket, ascending.
func List(ctx context.Context, bucket *files.Bucket, dir string) ([]File, error) {
	sizes, err := bucket.Sizes(ctx, dir)
	if err != nil {
		return nil, err
	}
	var list []File
	for name, size := range sizes {
		f := File{Bytes: size}
		if _, err := fmt.Sscanf(name, "%d-%d.records", &f.First, &f.Records); err == nil && name == f.name() {
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(a, b File) int { return cmp.Compare(a.First, b.First) })
	return list, nil
}

// Remove removes a file of a log.
func Remove(ctx context.Context, bucket *files.Bucket, dir string, f File) error {
	return bucket.Remove(ctx, f.key(dir))
}

// ReadFile yields the records of a file of a log. They are never changed.
func ReadFile(ctx context.Context, bucket *files.Bucket, dir string, f File) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		data, err := bucket.Read(ctx, f.key(dir), f.Bytes)
		if err != nil {
			yield(nil, fmt.Errorf("reading what was received: %w", err))
			return
		}
		readFrames(bytes.NewReader(data), bucket.Name(f.key(dir)), 0, f.Bytes, f.Records)(yield)
	}
}
