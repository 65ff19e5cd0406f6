package control

import (
	"context"
	"fmt"
	"time"

	"github.com/hibana-engine/hibana/engine/binaries"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Limits of what clients send.
const (
	maxUploads  = 8                // clients at a time that send a binary or a version
	uploadStall = 30 * time.Second // without a word from the client
)

// pieces returns what comes of a file: a piece of it, or the word to commit. of
// reads a message.
func (p *inbox[T]) pieces(ctx context.Context, of func(*T) (chunk []byte, commit bool)) func() (chunk []byte, commit bool, err error) {
	return func() ([]byte, bool, error) {
		m, err := p.next(ctx, uploadStall)
		if err != nil {
			return nil, false, err
		}
		chunk, commit := of(m)
		return chunk, commit, nil
	}
}

// uploads lets a bounded number of clients send a file at a time.
type uploads chan struct{}

func newUploads() uploads { return make(uploads, maxUploads) }

// take takes a file and then the word to commit. next returns what comes: a
// piece of the file, or that word.
func (u uploads) take(into *binaries.Store, digest string, size int64, next func() (chunk []byte, commit bool, err error)) error {
	select {
	case u <- struct{}{}:
		defer func() { <-u }()
	default:
		return fmt.Errorf("%w: %d files are being sent at this moment; try again", wire.ErrNotReady, maxUploads)
	}
	w, err := into.Create(digest, size)
	if err != nil {
		return err
	}
	for {
		chunk, commit, err := next()
		switch {
		case err != nil:
		case commit:
			return w.Commit()
		case len(chunk) == 0:
			err = fmt.Errorf("%w: neither a piece of the file nor its end", wire.ErrInvalid)
		default:
			_, err = w.Write(chunk)
		}
		if err != nil {
			w.Abort()
			return err
		}
	}
}

// awaitCommit waits for the word to commit where no file is to come.
func awaitCommit(next func() (chunk []byte, commit bool, err error)) error {
	_, commit, err := next()
	if err == nil && !commit {
		err = fmt.Errorf("%w: a piece of a file came, nobody asked for it", wire.ErrInvalid)
	}
	return err
}
