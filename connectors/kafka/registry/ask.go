package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/hibana-engine/hibana/rdd"
)

const (
	attemptTime = 5 * time.Second
	firstPause  = 100 * time.Millisecond
	maxPause    = 2 * time.Second
	maxAnswer   = 16 << 20 // bytes
)

// ask asks the registry until it answers or the deadline is over. A request that it
// refuses for good is a permanent error.
func (r *Registry) ask(request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), r.deadline)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		attempt, end := context.WithTimeout(ctx, attemptTime)
		err := request(attempt)
		end()
		if err == nil || !passing(err) {
			return refused(err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it has not answered for %s, see that it runs and can be reached (registry.Deadline sets how long it is asked): %w", r.deadline, err)
		case <-time.After(pause):
		}
	}
}

// status returns the HTTP status of the registry's answer, or 0.
func status(err error) int {
	if e, ok := errors.AsType[*sr.ResponseError](err); ok {
		return e.StatusCode
	}
	return 0
}

// unknown reports whether the registry says that it doesn't know a schema, a subject or a
// version. Another server's "not found" doesn't.
func unknown(err error) bool {
	e, ok := errors.AsType[*sr.ResponseError](err)
	return ok && e.StatusCode == http.StatusNotFound && sr.IsNotFoundError(e.ErrorCode)
}

// passing reports whether the same request may be answered later.
func passing(err error) bool {
	code := status(err)
	return code == 0 || code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout
}

// refused says what to do about an answer that stays what it is.
func refused(err error) error {
	code := status(err)
	switch {
	case err == nil:
		return nil
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		err = fmt.Errorf("it refuses the credentials, see registry.BasicAuth and registry.Bearer (HTTP status %d): %w", code, err)
	case code == http.StatusNotFound && !unknown(err):
		err = fmt.Errorf("what answers there isn't a schema registry, check the URL (HTTP status %d): %w", code, err)
	}
	return rdd.Permanent(err)
}

// transport keeps no connections: schemas are asked for seldom.
func transport(c *tls.Config) http.RoundTripper {
	return &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: c, DisableKeepAlives: true, ForceAttemptHTTP2: true}
}

// limited cuts answers that are larger than any schema.
type limited struct{ http.RoundTripper }

// RoundTrip sends a request.
func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = http.MaxBytesReader(nil, answer.Body, maxAnswer)
	}
	return answer, err
}
