package binaries

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/hibana-engine/hibana/engine/disk"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Writer receives one program and hashes it while it comes. It is used by one
// goroutine and ended by Commit or Abort.
type Writer struct {
	store  *Store
	f      *os.File
	digest string
	size   int64
	have   int64
	sum    hash.Hash
}

// Create begins to store a program that was announced with a digest and a size.
// Several may store the same one.
func (s *Store) Create(digest string, size int64) (*Writer, error) {
	if err := errors.Join(checkDigest(digest), checkSize(size)); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(s.dir, uploadPattern)
	if err != nil {
		return nil, fmt.Errorf("storing the binary: %w", err)
	}
	return &Writer{store: s, f: f, digest: digest, size: size, sum: sha256.New()}, nil
}

// resume goes on with what an earlier fetch received. The caller holds the
// digest.
func (s *Store) resume(digest string, size int64) (*Writer, error) {
	f, err := os.OpenFile(s.Path(digest)+partSuffix, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("storing the binary: %w", err)
	}
	w := &Writer{store: s, f: f, digest: digest, size: size, sum: sha256.New()}
	if w.have, err = io.Copy(w.sum, io.LimitReader(f, size+1)); err != nil {
		return nil, errors.Join(fmt.Errorf("storing the binary: %w", err), f.Close())
	}
	if w.have > size {
		if err := w.restart(); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return w, nil
}

// restart drops what was received.
func (w *Writer) restart() error {
	_, err := w.f.Seek(0, io.SeekStart)
	if err = errors.Join(err, w.f.Truncate(0)); err != nil {
		return fmt.Errorf("storing the binary: %w", err)
	}
	w.have = 0
	w.sum.Reset()
	return nil
}

// Write appends to the program.
func (w *Writer) Write(p []byte) (int, error) {
	if int64(len(p)) > w.size-w.have {
		return 0, fmt.Errorf("%w: more bytes came than were announced", wire.ErrBinary)
	}
	n, err := w.f.Write(p)
	w.sum.Write(p[:n])
	w.have += int64(n)
	if err != nil {
		return n, fmt.Errorf("storing the binary: %w", err)
	}
	return n, nil
}

// check makes sure that the program is whole and right.
func (w *Writer) check() error {
	if w.have != w.size {
		return fmt.Errorf("%w: %d of its %d bytes are missing", wire.ErrBinary, w.size-w.have, w.size)
	}
	if got := hex.EncodeToString(w.sum.Sum(nil)); got != w.digest {
		return fmt.Errorf("%w: its SHA-256 is %s, not %s", wire.ErrBinary, got, w.digest)
	}
	return nil
}

// Commit verifies the program and makes it appear, executable. On an error it is
// dropped.
func (w *Writer) Commit() error {
	err := w.check()
	if err == nil {
		err = w.publish()
	}
	if err != nil {
		w.Abort()
	}
	return err
}

// publish makes a program that was checked appear.
func (w *Writer) publish() error {
	err := w.f.Chmod(0o700)
	if !w.store.cache {
		err = errors.Join(err, w.f.Sync())
	}
	if err = errors.Join(err, w.f.Close()); err != nil {
		return fmt.Errorf("storing the binary: %w", err)
	}
	if err := os.Rename(w.f.Name(), w.store.Path(w.digest)); err != nil {
		return fmt.Errorf("storing the binary: %w", err)
	}
	w.store.verify(w.digest)
	if w.store.cache {
		return nil
	}
	if err := disk.SyncDir(w.store.dir); err != nil {
		return fmt.Errorf("storing the binary: %w", err)
	}
	return nil
}

// Abort drops what was written. It may follow a Commit that failed.
func (w *Writer) Abort() {
	_ = w.f.Close() // it may be closed
	_ = os.Remove(w.f.Name())
}
