package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

// faultyStore is a bucket in memory that outlives the jobs that write to it. on is asked
// before and after each change and before each reading; its error is the operation's.
type faultyStore struct {
	on func(o storeOp) error // nil for never an error

	mu    sync.Mutex
	files map[string][]byte
}

// storeOp is what is done to a faulty store.
type storeOp struct {
	kind  string // read, write, remove or list
	key   string
	after bool // it has been done
}

// faultyStores are those that a URL names.
//
// THREADING: mu guards all below it.
type faultyStores struct {
	mu     sync.Mutex
	made   int
	stores map[string]*faultyStore
}

var (
	faulty         = &faultyStores{stores: make(map[string]*faultyStore)}
	registerFaulty = sync.OnceFunc(func() { blob.DefaultURLMux().RegisterBucket("faulty", faulty) })
)

// newFaultyStore returns an empty store and its address. forget ends it.
func newFaultyStore() (s *faultyStore, address string, forget func()) {
	registerFaulty()
	s = &faultyStore{files: make(map[string][]byte)}
	faulty.mu.Lock()
	defer faulty.mu.Unlock()
	faulty.made++
	name := fmt.Sprint(faulty.made)
	faulty.stores[name] = s
	return s, "faulty://" + name + "/state", func() {
		faulty.mu.Lock()
		defer faulty.mu.Unlock()
		delete(faulty.stores, name)
	}
}

// OpenBucketURL implements blob.BucketURLOpener.
func (f *faultyStores) OpenBucketURL(_ context.Context, u *url.URL) (*blob.Bucket, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return blob.NewBucket(f.stores[u.Host]), nil
}

// do asks on.
func (s *faultyStore) do(kind, key string, after bool) error {
	if s.on == nil {
		return nil
	}
	return s.on(storeOp{kind, key, after})
}

// names returns the keys that satisfy of, ascending.
func (s *faultyStore) names(of func(key string) bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.files)), func(key string) bool { return !of(key) })
}

// get returns a file.
func (s *faultyStore) get(key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, there := s.files[key]
	if !there {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

// put makes a file.
func (s *faultyStore) put(key string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[key] = data
}

// remove removes a file.
func (s *faultyStore) remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.files, key)
}

// Methods of driver.Bucket.

func (s *faultyStore) ErrorCode(err error) gcerrors.ErrorCode {
	if errors.Is(err, fs.ErrNotExist) {
		return gcerrors.NotFound
	}
	return gcerrors.Unknown
}

func (s *faultyStore) As(any) bool             { return false }
func (s *faultyStore) ErrorAs(error, any) bool { return false }
func (s *faultyStore) Close() error            { return nil }

func (s *faultyStore) Attributes(_ context.Context, key string) (*driver.Attributes, error) {
	data, err := s.get(key)
	return &driver.Attributes{Size: int64(len(data))}, err
}

func (s *faultyStore) ListPaged(_ context.Context, o *driver.ListOptions) (*driver.ListPage, error) {
	if err := s.do("list", o.Prefix, false); err != nil {
		return nil, err
	}
	page := &driver.ListPage{}
	for _, key := range s.names(func(key string) bool { return strings.HasPrefix(key, o.Prefix) }) {
		if data, err := s.get(key); err == nil {
			page.Objects = append(page.Objects, &driver.ListObject{Key: key, Size: int64(len(data))})
		}
	}
	return page, nil
}

func (s *faultyStore) NewRangeReader(_ context.Context, key string, offset, _ int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	if err := s.do("read", key, false); err != nil {
		return nil, err
	}
	data, err := s.get(key)
	if err != nil {
		return nil, err
	}
	return faultyReader{io.NopCloser(bytes.NewReader(data[min(offset, int64(len(data))):])), int64(len(data))}, nil
}

func (s *faultyStore) NewTypedWriter(_ context.Context, key, _ string, _ *driver.WriterOptions) (driver.Writer, error) {
	if err := s.do("write", key, false); err != nil {
		return nil, err
	}
	return &faultyWriter{store: s, key: key}, nil
}

func (s *faultyStore) Copy(context.Context, string, string, *driver.CopyOptions) error {
	return errors.ErrUnsupported
}

func (s *faultyStore) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errors.ErrUnsupported
}

func (s *faultyStore) Delete(_ context.Context, key string, _ *driver.DeleteOptions) error {
	if err := s.do("remove", key, false); err != nil {
		return err
	}
	if _, err := s.get(key); err != nil {
		return err
	}
	s.remove(key)
	return s.do("remove", key, true)
}

// faultyReader reads a file of a faulty store.
type faultyReader struct {
	io.ReadCloser
	size int64
}

func (r faultyReader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{Size: r.size, ModTime: time.Time{}}
}

func (r faultyReader) As(any) bool { return false }

// faultyWriter makes a file when it is closed.
type faultyWriter struct {
	bytes.Buffer
	store *faultyStore
	key   string
}

func (w *faultyWriter) Close() error {
	w.store.put(w.key, w.Bytes())
	return w.store.do("write", w.key, true)
}
