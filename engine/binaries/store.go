package binaries

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
)

// MaxSize bounds a program, in bytes.
const MaxSize = 1 << 30

// Store keeps programs in a directory that no other process writes to. It is
// safe for concurrent use.
type Store struct {
	dir   string
	cache bool

	mu       sync.Mutex
	verified map[string]bool          // of a cache: what this process knows to be right
	busy     map[string]chan struct{} // closed when a fetch, or a check, of it ends
}

// Open opens a store whose programs outlive the machine's crash: they are
// flushed to disk before they appear. It makes the directory.
func Open(dir string) (*Store, error) { return open(dir, false) }

// OpenCache opens a store whose programs can be fetched again: nothing waits for
// the disk, and what an earlier process left is verified before it is used.
func OpenCache(dir string) (*Store, error) { return open(dir, true) }

func open(dir string, cache bool) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the store of binaries: %w", err)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the store of binaries: %w", err)
	}
	return &Store{dir: dir, cache: cache, verified: make(map[string]bool), busy: make(map[string]chan struct{})}, nil
}

// ValidDigest reports whether s is a SHA-256 in lower-case hexadecimal. Only
// such names become paths.
func ValidDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && hex.EncodeToString(b) == s
}

// checkDigest is ValidDigest as an error.
func checkDigest(s string) error {
	if !ValidDigest(s) {
		return fmt.Errorf("%w: %q is no SHA-256 in hexadecimal", wire.ErrInvalid, s)
	}
	return nil
}

// checkSize makes sure that a program may be that large.
func checkSize(n int64) error {
	if n <= 0 || n > MaxSize {
		return fmt.Errorf("%w: a binary of %d bytes; they may have from 1 to %d", wire.ErrTooLarge, n, MaxSize)
	}
	return nil
}

// Path returns where a program is, or would be. The digest is valid.
func (s *Store) Path(digest string) string { return filepath.Join(s.dir, digest) }

// Has reports whether a program is there. A cache waits for a fetch of it that is
// under way, reads the program, the first time, to verify it, and drops it if it
// is damaged.
func (s *Store) Has(digest string) bool {
	if !ValidDigest(digest) {
		return false
	}
	if !s.cache {
		return s.exists(digest)
	}
	release, err := s.acquire(context.Background(), digest)
	if err != nil {
		return false
	}
	defer release()
	return s.has(digest)
}

// Use is Has for who counts on the program: Sweep leaves it alone for its age from
// now on.
func (s *Store) Use(digest string) bool {
	if !s.Has(digest) {
		return false
	}
	s.mu.Lock() // Sweep looks and removes in one step
	defer s.mu.Unlock()
	now := time.Now()
	return os.Chtimes(s.Path(digest), now, now) == nil
}

func (s *Store) exists(digest string) bool {
	info, err := os.Stat(s.Path(digest))
	return err == nil && info.Mode().IsRegular()
}

// has is Has for whoever holds the digest.
func (s *Store) has(digest string) bool {
	if !s.exists(digest) {
		return false
	}
	if !s.cache || s.isVerified(digest) {
		return true
	}
	if got, err := digestOf(s.Path(digest)); err != nil || got != digest {
		_ = os.Remove(s.Path(digest)) // if that fails the fetch's rename replaces it
		return false
	}
	s.verify(digest)
	return true
}

func (s *Store) isVerified(digest string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.verified[digest]
}

func (s *Store) verify(digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verified[digest] = true
}

// acquire waits until nobody else fetches or checks a program, and returns what
// lets it go again.
func (s *Store) acquire(ctx context.Context, digest string) (release func(), err error) {
	for {
		s.mu.Lock()
		other := s.busy[digest]
		if other == nil {
			mine := make(chan struct{})
			s.busy[digest] = mine
			s.mu.Unlock()
			return func() {
				s.mu.Lock()
				delete(s.busy, digest)
				s.mu.Unlock()
				close(mine)
			}, nil
		}
		s.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// digestOf returns the SHA-256 of a file.
func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Remove removes a program.
func (s *Store) Remove(digest string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove(digest)
}

// remove is Remove for whoever holds mu.
func (s *Store) remove(digest string) error {
	delete(s.verified, digest)
	return os.Remove(s.Path(digest))
}

// Names of programs that are on their way.
const (
	uploadPattern = ".upload-*"
	partSuffix    = ".part"
)

// Sweep removes the programs that keep doesn't list, and what is on its way and
// hasn't grown, if they weren't touched for longer than age.
func (s *Store) Sweep(keep map[string]bool, age time.Duration) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("sweeping binaries: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if keep[strings.TrimSuffix(e.Name(), partSuffix)] {
			continue
		}
		if err := s.removeOld(e.Name(), age); err != nil && !errors.Is(err, fs.ErrNotExist) { // one that vanished is swept
			errs = append(errs, fmt.Errorf("sweeping binaries: %w", err))
		}
	}
	return errors.Join(errs...)
}

// removeOld removes a file that wasn't touched for longer than age.
func (s *Store) removeOld(name string, age time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Lstat(s.Path(name))
	if err != nil || time.Since(info.ModTime()) < age {
		return err
	}
	return s.remove(name)
}
