package modelstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // the scheme file
	"gocloud.dev/gcerrors"
)

// Errors of this package, for errors.Is.
var (
	// ErrMissing: the store hasn't the version.
	ErrMissing = errors.New("the version is not in the model store")
	// ErrDamaged: what the store has under a name isn't what was written.
	ErrDamaged = errors.New("the model store is damaged")
	// ErrTooLarge: a version's file is over MaxFile.
	ErrTooLarge = errors.New("the model file is too large")
	// ErrName: a model's name can't be one.
	ErrName = errors.New("not a model's name")
	// ErrURL: a store's address can't be one.
	ErrURL = errors.New("not a model store's address")
)

// MaxFile bounds the file of a version, in bytes.
const MaxFile = 2 << 30

// Store is the part of a bucket that belongs to one job. It is safe for
// concurrent use. Close ends its use.
type Store struct {
	bucket *blob.Bucket
	url    string
	prefix string
	dir    string // of the file driver, "" for others
}

// Digest returns a version's name: the SHA-256 of its file, hexadecimal.
func Digest(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:])
}

// CheckName returns an error that says [ErrName] unless a model may have the
// name: 1 to 64 letters, digits, points, dashes and underscores, the first one a
// letter or a digit.
func CheckName(name string) error {
	if len(name) == 0 || len(name) > 64 {
		return fmt.Errorf("%w: %.70q has %d bytes; 1 to 64 are allowed", ErrName, name, len(name))
	}
	for i, c := range []byte(name) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || !strings.ContainsRune("._-", rune(c))) {
			return fmt.Errorf("%w: %q; letters, digits, points, dashes and underscores are allowed, a letter or a digit first", ErrName, name)
		}
	}
	return nil
}

// checkDigest keeps what came from outside from naming anything else.
func checkDigest(digest string) error {
	if b, err := hex.DecodeString(digest); err != nil || len(b) != sha256.Size || strings.ToLower(digest) != digest {
		return fmt.Errorf("%w: %.70q is no version: that is the SHA-256 of a file, 64 hexadecimal digits", ErrMissing, digest)
	}
	return nil
}

// Address returns the URL of a store that a user gave: a URL stays as it is, a
// path becomes one of the scheme file.
func Address(given string) (string, error) {
	if given == "" {
		return "", fmt.Errorf("%w: it is empty: give a directory or a URL", ErrURL)
	}
	if u, err := url.Parse(given); err == nil && u.Scheme != "" {
		if !blob.DefaultURLMux().ValidBucketScheme(u.Scheme) {
			return "", fmt.Errorf("%w: %q: this program has drivers for %s; a path or a file: URL works, others need a blank import of their driver",
				ErrURL, given, strings.Join(blob.DefaultURLMux().BucketSchemes(), ", "))
		}
		return given, nil
	}
	abs, err := filepath.Abs(given)
	if err != nil {
		return "", fmt.Errorf("%w: %q: %w", ErrURL, given, err)
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}).String(), nil
}

// Open opens the part of a store that belongs to the job with the given
// incarnation. A directory is made if it isn't there.
func Open(ctx context.Context, address string, incarnation uint64) (*Store, error) {
	return open(ctx, address, fmt.Sprintf("%d/", incarnation))
}

// open opens the part of a store whose keys begin with prefix.
func open(ctx context.Context, address, prefix string) (*Store, error) {
	s := &Store{url: address, prefix: prefix}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	if u.Scheme == "file" {
		// Files are made beside their final place, since a rename doesn't cross
		// file systems, and without the driver's file of attributes.
		q := u.Query()
		q.Set("no_tmp_dir", "true")
		q.Set("create_dir", "true")
		q.Set("metadata", "skip")
		u.RawQuery = q.Encode()
		s.dir = filepath.FromSlash(u.Path)
	}
	if s.bucket, err = blob.OpenBucket(ctx, u.String()); err != nil {
		return nil, fmt.Errorf("opening the model store %s: %w", address, err)
	}
	return s, nil
}

// Close releases the connection.
func (s *Store) Close() error { return s.bucket.Close() }

// String returns the store's address.
func (s *Store) String() string { return s.url }

func (s *Store) versionKey(model, digest string) string {
	return s.prefix + model + "/versions/" + digest
}

// Put writes a version's file unless it is there already.
func (s *Store) Put(ctx context.Context, model, digest string, file []byte) error {
	if len(file) > MaxFile {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(file), MaxFile)
	}
	key := s.versionKey(model, digest)
	there, err := s.bucket.Exists(ctx, key)
	if err == nil && !there {
		err = s.write(ctx, key, file)
	}
	if err != nil {
		return fmt.Errorf("writing version %.12s of model %s to %s: %w", digest, model, s, err)
	}
	return nil
}

// Get returns a version's file. One that isn't there is an error that says
// [ErrMissing], one whose contents have changed [ErrDamaged].
func (s *Store) Get(ctx context.Context, model, digest string) ([]byte, error) {
	if err := checkDigest(digest); err != nil {
		return nil, err
	}
	key := s.versionKey(model, digest)
	file, err := s.read(ctx, key, MaxFile)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		return nil, fmt.Errorf("%w: %s has no %s", ErrMissing, s, key)
	case err != nil:
		return nil, fmt.Errorf("reading version %.12s of model %s from %s: %w", digest, model, s, err)
	}
	if is := Digest(file); is != digest {
		return nil, fmt.Errorf("%w: %s in %s has the contents of %.12s", ErrDamaged, key, s, is)
	}
	return file, nil
}

// Delete removes a version, if it is there.
func (s *Store) Delete(ctx context.Context, model, digest string) error {
	err := s.bucket.Delete(ctx, s.versionKey(model, digest))
	if err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("deleting version %.12s of model %s from %s: %w", digest, model, s, err)
	}
	return nil
}

// Versions returns the versions of a model that are there, in no order that
// means anything.
func (s *Store) Versions(ctx context.Context, model string) ([]string, error) {
	keys, err := s.keys(ctx, s.versionKey(model, ""))
	if err != nil {
		return nil, fmt.Errorf("listing the versions of model %s in %s: %w", model, s, err)
	}
	return keys, nil
}

// maxKeys bounds a listing.
const maxKeys = 1 << 16

// keys returns what follows prefix in the keys that begin with it, ascending.
func (s *Store) keys(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	it := s.bucket.List(&blob.ListOptions{Prefix: prefix})
	for len(keys) < maxKeys {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return keys, nil
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, strings.TrimPrefix(o.Key, prefix))
	}
	return nil, fmt.Errorf("%w: more than %d files under %s", ErrTooLarge, maxKeys, prefix)
}

// read returns a blob of at most limit bytes.
func (s *Store) read(ctx context.Context, key string, limit int64) (_ []byte, err error) {
	r, err := s.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if r.Size() > limit {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d", ErrTooLarge, key, r.Size(), limit)
	}
	b := make([]byte, r.Size())
	_, err = io.ReadFull(r, b)
	return b, err
}

// write writes a blob that survives the machine's death when write returns.
func (s *Store) write(ctx context.Context, key string, b []byte) error {
	if err := s.bucket.WriteAll(ctx, key, b, &blob.WriterOptions{ContentType: "application/octet-stream"}); err != nil {
		return err
	}
	if s.dir == "" {
		return nil
	}
	path := filepath.Join(s.dir, filepath.FromSlash(key))
	return errors.Join(sync(path), sync(filepath.Dir(path)))
}

// sync brings a file or a directory onto the disk.
func sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
