package models

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Run carries out the requests of users outside the program, follows what other programs
// publish, and tidies up, until ctx ends.
func (r *Registry) Run(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { r.tidy(ctx) })
	work.Go(func() { r.serve(ctx, r.requests) })
	for _, s := range r.followed() {
		work.Go(func() { r.follow(ctx, s) })
	}
	work.Wait()
}

// requestTimeout bounds a request: a version that no executor can load in that
// time is refused.
const requestTimeout = 5 * time.Minute

// serve carries out requests until ctx ends.
func (r *Registry) serve(ctx context.Context, requests <-chan Request) {
	for {
		select {
		case q := <-requests:
			q.Answer(r.request(ctx, q))
		case <-ctx.Done():
			return
		}
	}
}

func (r *Registry) request(ctx context.Context, q Request) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, requestTimeout, fmt.Errorf("it took longer than %s", requestTimeout))
	defer cancel()
	if q.Rollback {
		return r.Rollback(ctx, q.Model, q.Digest)
	}
	file, err := os.ReadFile(q.Path)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("publishing a version of model %s: the file is gone; publish it again: %w", q.Model, err)
	}
	if err != nil {
		return "", fmt.Errorf("publishing a version of model %s: %w", q.Model, err)
	}
	return r.Publish(ctx, q.Model, file)
}
