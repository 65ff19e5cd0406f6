package registry

import (
	"crypto/tls"
	"errors"
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

// Deadline sets for how long a registry that doesn't answer is asked again (15 s).
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
