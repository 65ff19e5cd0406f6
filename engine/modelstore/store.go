package modelstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/hibana-engine/hibana/rdd/files"
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
	bucket *files.Bucket
	url    string
	prefix string
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
	a, err := files.Parse(given)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrURL, err)
	}
	if strings.Contains(given, "://") {
		return given, nil
	}
	return a.URL(), nil
}

// Open opens the part of a store that belongs to the job with the given
// incarnation. A directory is made if it isn't there.
func Open(ctx context.Context, address string, incarnation uint64) (*Store, error) {
	return open(ctx, address, fmt.Sprint(incarnation))
}

// open opens the part of a store that is in the directory part of it.
func open(ctx context.Context, address, part string) (*Store, error) {
	a, err := files.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	s := &Store{url: address, prefix: a.Join(part).Key + "/"}
	if s.bucket, err = a.Open(ctx); err == nil {
		err = s.bucket.MakeDir(a.Key)
	}
	if err != nil {
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
		err = s.bucket.Write(ctx, key, file)
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
	file, err := s.bucket.Read(ctx, key, MaxFile)
	switch {
	case errors.Is(err, files.ErrMissing):
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
	if err := s.bucket.Remove(ctx, s.versionKey(model, digest)); err != nil {
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

// keys returns what follows prefix, a directory, in the keys that begin with it, ascending.
func (s *Store) keys(ctx context.Context, prefix string) ([]string, error) {
	return s.bucket.Names(ctx, strings.TrimSuffix(prefix, "/"))
}
