package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// Bucket is a bucket that is open. It is safe for concurrent use.
type Bucket struct {
	blobs *blob.Bucket
	root  Address // with an empty key
}

// Open opens the bucket of an address.
func (a Address) Open(ctx context.Context) (*Bucket, error) {
	blobs, err := blob.OpenBucket(ctx, a.Bucket())
	if err != nil {
		return nil, explained("opening the bucket of", a.String(), err)
	}
	return &Bucket{blobs, a.at("")}, nil
}

// Close releases the connection.
func (b *Bucket) Close() error { return b.blobs.Close() }

// Name returns the address of a key, for people and for [Parse].
func (b *Bucket) Name(key string) string { return b.root.at(key).String() }

// isLocal reports whether the bucket is the file system.
func (b *Bucket) isLocal() bool { return b.root.IsLocal() }

// path returns the path of a key of the file system.
func (b *Bucket) path(key string) string { return filepath.FromSlash("/" + key) }

// MakeDir makes a directory, where directories are made.
func (b *Bucket) MakeDir(key string) error {
	if !b.isLocal() {
		return nil
	}
	return os.MkdirAll(b.path(key), 0o777)
}

// Reader reads a part of a file. Its errors name the file and the place.
type Reader struct {
	in   *blob.Reader
	name string
	at   int64
}

// Range opens a file to read length bytes from an offset on; all that follow if length is
// negative. The context is that of reading, too.
func (b *Bucket) Range(ctx context.Context, key string, from, length int64) (*Reader, error) {
	in, err := b.blobs.NewRangeReader(ctx, key, from, length, nil)
	if err != nil {
		return nil, explained("opening", b.Name(key), err)
	}
	return &Reader{in, b.Name(key), from}, nil
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	r.at += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = explained("reading", fmt.Sprintf("%s at byte %d", r.name, r.at), err)
	}
	return n, err
}

// Offset returns how far in the file the reader is.
func (r *Reader) Offset() int64 { return r.at }

// Close ends reading.
func (r *Reader) Close() error { return r.in.Close() }

// Size returns the size of the whole file when it was opened.
func (r *Reader) Size() int64 { return r.in.Size() }

// Read returns a file of at most so many bytes.
func (b *Bucket) Read(ctx context.Context, key string, most int64) (_ []byte, err error) {
	r, err := b.Range(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if r.Size() > most {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d", ErrTooLarge, b.Name(key), r.Size(), most)
	}
	data := make([]byte, r.Size())
	if _, err = io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("reading %s: %w", b.Name(key), err)
	}
	return data, nil
}

// Write makes a file, which survives the machine's death when Write returns.
func (b *Bucket) Write(ctx context.Context, key string, data []byte) error {
	return b.write(ctx, key, data, false)
}

// write is Write for a file that must be a new one if isNew.
func (b *Bucket) write(ctx context.Context, key string, data []byte, isNew bool) error {
	err := b.blobs.WriteAll(ctx, key, data, &blob.WriterOptions{ContentType: contentType, IfNotExist: isNew})
	if isNew && gcerrors.Code(err) == gcerrors.FailedPrecondition {
		return fmt.Errorf("%w: %s", ErrExists, b.Name(key))
	}
	if err != nil {
		return explained("writing", b.Name(key), err)
	}
	return b.sync(key)
}

const contentType = "application/octet-stream"

// Exists reports whether a file is there.
func (b *Bucket) Exists(ctx context.Context, key string) (bool, error) {
	there, err := b.blobs.Exists(ctx, key)
	return there, explained("looking for", b.Name(key), err)
}

// Names returns the names of the files of a directory, ascending: none if it isn't there.
func (b *Bucket) Names(ctx context.Context, dir string) ([]string, error) {
	return b.names(ctx, dir, false)
}

// Dirs returns the names of the directories of a directory, ascending: none if it isn't there.
func (b *Bucket) Dirs(ctx context.Context, dir string) ([]string, error) {
	return b.names(ctx, dir, true)
}

// Sizes returns the sizes of the files of a directory by their names: none if it isn't there.
func (b *Bucket) Sizes(ctx context.Context, dir string) (map[string]int64, error) {
	list, err := b.allEntries(ctx, dir)
	if err != nil && !errors.Is(err, ErrMissing) {
		return nil, err
	}
	sizes := make(map[string]int64, len(list))
	for _, e := range list {
		if !e.isDir && !e.nowhere {
			sizes[e.name] = e.size
		}
	}
	return sizes, nil
}

// names returns the names of the files of a directory, or of its directories.
func (b *Bucket) names(ctx context.Context, dir string, dirs bool) ([]string, error) {
	list, err := b.allEntries(ctx, dir)
	if err != nil && !errors.Is(err, ErrMissing) {
		return nil, err
	}
	var names []string
	for _, e := range list {
		if e.isDir == dirs && !e.nowhere {
			names = append(names, e.name)
		}
	}
	return names, nil
}

// Remove removes a file, if it is there.
func (b *Bucket) Remove(ctx context.Context, key string) error {
	if err := b.blobs.Delete(ctx, key); gcerrors.Code(err) != gcerrors.NotFound {
		return explained("removing", b.Name(key), err)
	}
	return nil
}

// removeDir removes an empty directory, where there are directories.
func (b *Bucket) removeDir(key string) error {
	if !b.isLocal() {
		return nil
	}
	return explained("removing", b.Name(key), os.Remove(b.path(key)))
}

// Writer writes a file that is there when it is committed, and not before.
type Writer struct {
	out   *blob.Writer
	abort context.CancelFunc
	b     *Bucket
	key   string
	ended bool
}

// Create begins a file. Either Commit or Abort ends it.
func (b *Bucket) Create(ctx context.Context, key string) (*Writer, error) {
	ctx, abort := context.WithCancel(ctx)
	out, err := b.blobs.NewWriter(ctx, key, &blob.WriterOptions{ContentType: contentType})
	if err != nil {
		abort()
		return nil, explained("creating", b.Name(key), err)
	}
	return &Writer{out: out, abort: abort, b: b, key: key}, nil
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.out.Write(p)
	return n, explained("writing", w.b.Name(w.key), err)
}

// Commit makes the file visible. It survives the machine's death when Commit returns.
func (w *Writer) Commit() error {
	defer w.abort()
	w.ended = true
	if err := w.out.Close(); err != nil {
		return explained("writing", w.b.Name(w.key), err)
	}
	return w.b.sync(w.key)
}

// Abort drops the file. After Commit it does nothing.
func (w *Writer) Abort() {
	if w.abort(); !w.ended {
		w.ended = true
		_ = w.out.Close() // it says that it was aborted
	}
}

// sync brings a file and its directory onto the disk, if the bucket is the file system.
func (b *Bucket) sync(key string) error {
	if !b.isLocal() {
		return nil
	}
	file := b.path(key)
	if err := errors.Join(syncPath(file), syncPath(filepath.Dir(file))); err != nil {
		return fmt.Errorf("writing %s to the disk: %w", file, err)
	}
	return nil
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
