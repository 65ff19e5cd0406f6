package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// modelRequest is a user's wish from outside the program: engine-submit model.
type modelRequest struct {
	model    string
	digest   string // of the version to go back to
	path     string // of the file to publish, "" for a rollback
	rollback bool
	answer   func(digest string, err error) // is called once; it may block for a while
}

// requestTimeout bounds a request: a version that no executor can load in that
// time is refused.
const requestTimeout = 5 * time.Minute

// serve carries out requests until ctx ends.
func (r *modelRegistry) serve(ctx context.Context, requests <-chan modelRequest) {
	for {
		select {
		case q := <-requests:
			q.answer(r.request(ctx, q))
		case <-ctx.Done():
			return
		}
	}
}

func (r *modelRegistry) request(ctx context.Context, q modelRequest) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, requestTimeout, fmt.Errorf("it took longer than %s", requestTimeout))
	defer cancel()
	if q.rollback {
		return r.rollback(ctx, q.model, q.digest)
	}
	file, err := os.ReadFile(q.path)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("publishing a version of model %s: the file is gone; publish it again: %w", q.model, err)
	}
	if err != nil {
		return "", fmt.Errorf("publishing a version of model %s: %w", q.model, err)
	}
	return r.publish(ctx, q.model, file)
}
