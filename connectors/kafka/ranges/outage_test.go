package ranges

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// An outage is over when those who waited have gone: also of a stream whose attempt
// fails after its reader has left.
func TestOutageForgetsWhoHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out := &outage{log: slog.New(slog.DiscardHandler)}
		r := newRouter(&Options{}, nil, newLinks(1, nil), out, newHistory(), newBuffer(0), new(counters))
		go r.run(ctx)
		s := newStream(Range{Topic: "t", Until: 10})
		if !s.begin() {
			t.Fatal("a new stream can't be fetched")
		}
		s.tries = quietTries
		s.close() // as Reader.release does
		out.leave(s)
		r.retry(s, errors.New("the broker is gone"))
		time.Sleep(time.Second) // virtual
		synctest.Wait()
		if out.waiting != 0 || !out.since.IsZero() {
			t.Errorf("%d streams wait since %v, and nobody reads them", out.waiting, out.since)
		}
	})
}
