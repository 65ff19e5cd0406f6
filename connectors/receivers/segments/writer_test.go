package segments

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibana-engine/hibana/rdd/files"
)

// openBucket returns the bucket of a new directory, and the directory.
func openBucket(t *testing.T) (bucket *files.Bucket, key string) {
	t.Helper()
	at, err := files.Parse(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if bucket, err = at.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bucket.Close() })
	return bucket, at.Key
}

// listed returns the files of a directory, and the records in them.
func listed(t *testing.T, bucket *files.Bucket, dir string) (list []File, records []string) {
	t.Helper()
	list, err := List(t.Context(), bucket, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		for r, err := range ReadFile(t.Context(), bucket, dir, f) {
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, string(r))
		}
	}
	return list, records
}

// untold is for writers whose files nobody is told of.
func untold(File) {}

// What several append at a time is there once, in the order in which each appended it, and when
// Append returns.
func TestWriter(t *testing.T) {
	bucket, dir := openBucket(t)
	var told []File
	w := NewWriter(bucket, dir, 1<<20, func(f File) { told = append(told, f) })
	const each = 20
	var all sync.WaitGroup
	for who := range 5 {
		all.Go(func() {
			for i := range each {
				if err := w.Append(t.Context(), fmt.Appendf(nil, "%d %02d", who, i), fmt.Appendf(nil, "%d %02d'", who, i)); err != nil {
					t.Error(err)
				}
				if files := w.Files(); len(files) == 0 {
					t.Error("nothing is written")
				}
			}
		})
	}
	all.Wait()
	list, records := listed(t, bucket, dir)
	if !slices.Equal(list, w.Files()) || !slices.Equal(list, told) || len(records) != 5*2*each {
		t.Errorf("%d records in %v; written were %v, told of %v", len(records), list, w.Files(), told)
	}
	for who := range 5 {
		of := slices.DeleteFunc(slices.Clone(records), func(r string) bool { return !strings.HasPrefix(r, fmt.Sprint(who)) })
		if len(of) != 2*each || !slices.IsSorted(of) {
			t.Errorf("%q", of)
		}
	}
}

// removed removes files, and has the writer look.
func removed(t *testing.T, w *Writer, others Amount, files ...File) {
	t.Helper()
	for _, f := range files {
		if err := Remove(t.Context(), w.bucket, w.dir, f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Look(t.Context(), others); err != nil {
		t.Fatal(err)
	}
}

// Whoever appends to a full log waits until files are removed, or the log is closed.
func TestWriterWaitsForRoom(t *testing.T) {
	bucket, dir := openBucket(t)
	synctest.Test(t, func(t *testing.T) {
		w := NewWriter(bucket, dir, 1<<20, untold)
		record := make([]byte, 100_000)
		for range 10 {
			if err := w.Append(t.Context(), record); err != nil {
				t.Fatal(err)
			}
		}
		if w.Lacks() {
			t.Error("nobody has waited for room")
		}
		ended := make(chan error)
		more := func(ctx context.Context) { ended <- w.Append(ctx, record) }
		waiting := func() bool {
			synctest.Wait()
			select {
			case err := <-ended:
				t.Errorf("it didn't wait: %v", err)
				return false
			default:
				return true
			}
		}
		go more(t.Context())
		if waiting() {
			if !w.Lacks() {
				t.Error("the log doesn't lack room")
			}
			removed(t, w, Amount{}, w.Files()[0])
			if err := <-ended; err != nil || len(w.Files()) != 10 || w.Files()[0].First != 1 {
				t.Errorf("%v, %v", w.Files(), err)
			}
		}
		if w.Lacks() {
			t.Error("nobody waits for room any more")
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		broken := errors.New("it ends")
		go more(ctx)
		if waiting() {
			cancel(broken)
			if err := <-ended; !errors.Is(err, broken) || w.Lacks() {
				t.Error(err)
			}
		}
		removed(t, w, Amount{Bytes: 900_000}, w.Files()[:8]...) // what others have counts, too
		go more(t.Context())
		if waiting() {
			w.Close()
			if err := <-ended; !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		}
		if err := w.Append(t.Context(), make([]byte, 200_000)); !errors.Is(err, ErrTooLarge) {
			t.Error(err)
		}
	})
}

// A log has so many files at most, those of others among them.
func TestFilesAreCounted(t *testing.T) {
	bucket, dir := openBucket(t)
	synctest.Test(t, func(t *testing.T) {
		w := NewWriter(bucket, dir, 20*perFile, untold)
		ended := make(chan error)
		go func() {
			for range 21 {
				if err := w.Append(t.Context(), []byte("x")); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
		synctest.Wait()
		if n := len(w.Files()); n != 20 || !w.Lacks() || w.Unseen() != 20 {
			t.Errorf("%d files are written, %d since a look", n, w.Unseen())
		}
		removed(t, w, Amount{Files: 3}, w.Files()[:3]...)
		if synctest.Wait(); len(w.Files()) != 17 || !w.Lacks() || w.Unseen() != 0 {
			t.Errorf("%d files are there, %d since a look", len(w.Files()), w.Unseen())
		}
		removed(t, w, Amount{Files: 2})
		if err := <-ended; err != nil || w.has != 18*int64(len(frame1)) {
			t.Errorf("the log has %d bytes, %v", w.has, err)
		}
	})
}

// frame1 is what a record of one byte takes.
var frame1, _ = appendFrame(nil, [][]byte{[]byte("x")})

// A file that is there although writing it has failed counts and is told of when it is found, and
// what was removed behind it is forgotten all the same.
func TestFileThatFailedAndIsThere(t *testing.T) {
	bucket, dir := openBucket(t)
	var told []File
	w := NewWriter(bucket, dir, 1<<20, func(f File) { told = append(told, f) })
	w.next = 3 // as if the first file had failed
	for range 2 {
		if err := w.Append(t.Context(), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	failed, later := File{0, 3, int64(len(frame1))}, File{5, 1, int64(len(frame1))}
	written := w.Files()
	for _, f := range []File{failed, later} {
		if err := bucket.Write(t.Context(), f.key(dir), frame1); err != nil {
			t.Fatal(err)
		}
	}
	removed(t, w, Amount{}, written[0])
	// Of the one that seems to be written now it isn't known yet whether that fails.
	if left := []File{failed, written[1]}; !slices.Equal(w.Files(), left) || w.has != 2*int64(len(frame1)) {
		t.Errorf("%v are left, of %d bytes", w.Files(), w.has)
	}
	if !slices.Equal(told, append(written, failed)) {
		t.Errorf("told of %v", told)
	}
}

// A file holds no more than a segment; what is larger has a file for itself.
func TestFilesAreBounded(t *testing.T) {
	bucket, dir := openBucket(t)
	synctest.Test(t, func(t *testing.T) {
		w := NewWriter(bucket, dir, 1<<30, untold)
		w.turn <- struct{}{} // as if a file were being written
		var all sync.WaitGroup
		for _, size := range []int{9, 9, 17} {
			all.Go(func() {
				if err := w.Append(t.Context(), make([]byte, size<<20)); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		<-w.turn
		all.Wait()
		if files := w.Files(); len(files) != 3 || files[2].Until() != 3 || w.pending != 0 {
			t.Errorf("%v are written, %d bytes are pending", files, w.pending)
		}
	})
}

// What was appended by those who gave up before it was written takes no room.
func TestAppendsGivenUp(t *testing.T) {
	bucket, dir := openBucket(t)
	synctest.Test(t, func(t *testing.T) {
		w := NewWriter(bucket, dir, 1<<20, untold)
		record := make([]byte, 100_000)
		w.turn <- struct{}{} // as if a file were being written
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if err := w.Append(ctx, record); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		<-w.turn
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.Append(ctx, record); err != nil || w.pending != 0 || len(w.Files()) != 1 || w.Files()[0].Records != 1 {
			t.Errorf("%d bytes are pending, %v are written: %v", w.pending, w.Files(), err)
		}
	})
}

// The numbers of records that couldn't be written, as it seems, are never given again: their file
// may still come, and isn't taken for another one.
func TestWriteThatFails(t *testing.T) {
	bucket, dir := openBucket(t)
	path := filepath.Join("/", dir, "log")
	if err := os.WriteFile(path, nil, 0o600); err != nil { // where a directory should be
		t.Fatal(err)
	}
	w := NewWriter(bucket, dir+"/log", 1<<20, untold)
	if err := w.Append(t.Context(), []byte("a"), []byte("b")); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(t.Context(), []byte("c")); err != nil {
		t.Fatal(err)
	}
	if list, records := listed(t, bucket, dir+"/log"); len(list) != 1 || list[0].First != 2 || list[0].Until() != 3 || !slices.Equal(records, []string{"c"}) {
		t.Errorf("%q in %v", records, list)
	}
	if w.Lacks() || w.pending != 0 {
		t.Errorf("%d bytes are pending", w.pending)
	}
}

// A file that isn't what was written is an error that names it; others aren't files of the log.
func TestDamagedFiles(t *testing.T) {
	bucket, dir := openBucket(t)
	w := NewWriter(bucket, dir, 1<<20, untold)
	if err := w.Append(t.Context(), []byte("hello"), []byte("world")); err != nil {
		t.Fatal(err)
	}
	f := w.Files()[0]
	path := filepath.Join("/", f.key(dir))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read := func(f File) (n int, err error) {
		for _, e := range ReadFile(t.Context(), bucket, dir, f) {
			if e != nil {
				return n, e
			}
			n++
		}
		return n, nil
	}
	flipped := slices.Clone(whole)
	flipped[len(flipped)-1] ^= 1
	for name, data := range map[string][]byte{"cut off": whole[:len(whole)-1], "flipped": flipped, "empty": nil} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := read(f); n != 0 || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %d records, %v", name, n, err)
		}
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	more := f
	more.Records++
	if _, err := read(more); !errors.Is(err, files.ErrMissing) { // of another name
		t.Error(err)
	}
	for _, name := range []string{"0-2.records", ".tmp", "0000000000000000002-1.records.x"} {
		if err := os.WriteFile(filepath.Join("/", dir, name), whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := List(t.Context(), bucket, dir); err != nil || !slices.Equal(list, []File{f}) {
		t.Errorf("%v, %v", list, err)
	}
	if err := Remove(t.Context(), bucket, dir, f); err != nil {
		t.Error(err)
	}
	if _, err := read(f); !errors.Is(err, files.ErrMissing) {
		t.Error(err)
	}
}
