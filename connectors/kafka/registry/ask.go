package registry

import (
	"context"
	"crypto/tls"
	"encoding/json"
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

	quietTime   = time.Second // without an answer is worth no word
	remindAfter = 30 * time.Second
)

// ask asks the registry until it answers or the deadline is over, and says in the log that it
// waits. A request that is refused for good is a permanent error.
func (r *Registry) ask(request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), r.deadline)
	defer cancel()
	began, told := time.Now(), time.Time{}
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		attempt, end := context.WithTimeout(ctx, attemptTime)
		err := request(attempt)
		end()
		if err == nil || !passing(err) {
			if !told.IsZero() {
				r.log.Info("kafka: the schema registry answers", "registry", r.url, "waited", time.Since(began).Round(time.Millisecond))
			}
			return refused(err)
		}
		if now := time.Now(); now.Sub(began) >= quietTime && now.Sub(told) >= remindAfter {
			told = now
			r.log.Warn("kafka: waiting for the schema registry, nothing is skipped", "registry", r.url, "since", began, "error", err)
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
	return code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout || code == 0 && remedy(err) == ""
}

// refused says what to do about an answer that stays what it is.
func refused(err error) error {
	if err == nil {
		return nil
	}
	if what := remedy(err); what != "" {
		err = fmt.Errorf("%s: %w", what, err)
	}
	return rdd.Permanent(err)
}

// remedy says what is wrong with an answer, or a connection, and what to do about it; "" if
// that isn't known.
func remedy(err error) string {
	code := status(err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, large := errors.AsType[*http.MaxBytesError](err)
	switch {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Sprintf("it refuses the credentials, see registry.BasicAuth and registry.Bearer (HTTP status %d)", code)
	case code == http.StatusNotFound && !unknown(err):
		return fmt.Sprintf("what answers there isn't a schema registry, check the URL (HTTP status %d)", code)
	case isNotJSON(err):
		return "what answers there isn't a schema registry, check the URL"
	case untrusted:
		return "its certificate isn't one that the program trusts, see registry.TLS"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "it speaks HTTP without TLS, write http:// in its URL"
	case large:
		return fmt.Sprintf("its answer has more than %d bytes, which no schema has", maxAnswer)
	}
	return ""
}

// isNotJSON reports an answer that is none of a registry's.
func isNotJSON(err error) bool {
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, kind := errors.AsType[*json.UnmarshalTypeError](err)
	return syntax || kind
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
