package registry

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// Option configures a registry.
type Option func(*options) error

type options struct {
	client   []sr.ClientOpt
	tls      *tls.Config
	deadline time.Duration
	lookUp   bool
	log      *slog.Logger
	auth     int // how many ways to log in there are
}

// BasicAuth logs in with a user's name and password, or with an API key and its secret.
func BasicAuth(user, password string) Option {
	return func(o *options) error {
		o.auth++
		o.client = append(o.client, sr.BasicAuth(user, password))
		return nil
	}
}

// Bearer logs in with a token.
func Bearer(token string) Option {
	return func(o *options) error {
		o.auth++
		o.client = append(o.client, sr.BearerToken(token))
		return nil
	}
}

// TLS sets what https:// URLs are asked with: the authorities to trust, a certificate of
// one's own. Without it the system's authorities are trusted.
func TLS(c *tls.Config) Option {
	return func(o *options) error {
		if c == nil {
			return errors.New("registry.TLS: the configuration is nil")
		}
		o.tls = c.Clone()
		return nil
	}
}

// Deadline sets for how long a registry that doesn't answer is asked again (15 s). Then the
// task fails, and the job does when it has failed as often as --conf task.maxFailures says: give a longer
// time where outages last longer. A task that waits can't be ended before.
func Deadline(d time.Duration) Option {
	return func(o *options) error {
		if d <= 0 {
			return errors.New("registry.Deadline: the time must be more than 0")
		}
		o.deadline = d
		return nil
	}
}

// LookUpOnly has encoders look their schemas up and register none, where schemas are
// registered by somebody else.
func LookUpOnly() Option {
	return func(o *options) error {
		o.lookUp = true
		return nil
	}
}

// Logger is told when the registry doesn't answer, ssc.Logger() for one; it is slog.Default()
// by default.
func Logger(l *slog.Logger) Option {
	return func(o *options) error {
		if l == nil {
			return errors.New("registry.Logger: the logger is nil")
		}
		o.log = l
		return nil
	}
}
