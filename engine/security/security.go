package security

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/hibana-engine/hibana/engine/wire"
)

// Security is what a process knows to show that it belongs here and to check
// that others do: certificates, or a secret where all is on loopback. Every
// connection is TLS in which both ends show it. The zero value opens nothing.
type Security struct {
	Files wire.TLSFiles // where certificates were loaded from, if there are any
	tls   *tls.Config   // nil in the zero value
	token string        // calls show it inside of certificates' TLS; "" where they needn't
}

// LoadTLS returns a Security with the certificates in files, whose paths it
// makes absolute: processes of jobs, which run in other directories, load them too.
// A key that others may read is an error that wraps ErrInsecure.
func LoadTLS(files wire.TLSFiles) (Security, error) {
	if files.CA == "" || files.Cert == "" || files.Key == "" {
		return Security{}, wire.Misuse("mutual TLS takes --tls-ca, --tls-cert and --tls-key; make the files with `engine-submit certs DIR`")
	}
	for _, path := range []*string{&files.CA, &files.Cert, &files.Key} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return Security{}, fmt.Errorf("finding the certificate file %s: %w", *path, err)
		}
		*path = absolute
	}
	cert, err := loadKeyPair(files)
	if err != nil {
		return Security{}, fmt.Errorf("loading the certificate %s with key %s: %w", files.Cert, files.Key, err)
	}
	pem, err := os.ReadFile(files.CA)
	if err != nil {
		return Security{}, fmt.Errorf("loading the certificate authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return Security{}, fmt.Errorf("loading the certificate authority: %s holds no certificate in PEM", files.CA)
	}
	// Others would only say that they saw no certificate: one of another authority
	// isn't even shown to them.
	_, err = cert.Leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if _, other := errors.AsType[x509.UnknownAuthorityError](err); other {
		return Security{}, fmt.Errorf("the certificate %s isn't of the authority in %s: %w", files.Cert, files.CA, err)
	}
	return Security{Files: files, tls: &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cert},
		RootCAs:      pool,
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	}}, nil
}

// loadKeyPair reads a certificate and its key, which only its owner may read.
func loadKeyPair(files wire.TLSFiles) (tls.Certificate, error) {
	cert, err := os.ReadFile(files.Cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := ReadPrivate(files.Key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// WithToken returns a copy of s that knows a secret of NewToken, such as a job's.
// Without certificates it is what both ends of a connection must know, see
// secretTLS. With certificates, calls show it too, to processes whose certificate
// was verified.
func (s Security) WithToken(token string) Security {
	switch {
	case s.Files != wire.TLSFiles{}:
		s.token = token
	case token == "":
		s.tls = nil
	default:
		s.tls = secretTLS(token)
	}
	return s
}

// TLS returns the configuration for connections, with the protocols that one
// side offers or the other takes. Both sides verify the other. With the zero
// value every handshake fails.
func (s Security) TLS(protocols ...string) *tls.Config {
	c := s.tls
	if c == nil {
		c = secretTLS("")
	}
	c = c.Clone()
	c.NextProtos = protocols
	return c
}

// CallToken returns what calls show inside of certificates' TLS, "" where they
// needn't.
func (s Security) CallToken() string { return s.token }

// CheckListen makes sure that a listener at address may be opened: with
// certificates anywhere, with a token only on loopback.
func (s Security) CheckListen(address string) error {
	return s.check(address, "listening on "+address, ", or listen on 127.0.0.1")
}

// CheckName makes sure that a certificate, where there is one, is for the host of an
// address by which others call this process.
func (s Security) CheckName(address string) error {
	if s.Files == (wire.TLSFiles{}) {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if err := s.tls.Certificates[0].Leaf.VerifyHostname(host); err != nil {
		return wire.Misuse(fmt.Sprintf("the certificate %s isn't for %s, by which others call this process: %v; make one with `engine-submit certs DIR --host %s`",
			s.Files.Cert, address, err, host))
	}
	return nil
}

// CheckDial makes sure that s is enough for calling an address.
func (s Security) CheckDial(address string) error {
	return s.check(address, "talking to "+address, "")
}

// check makes sure that s is enough for an address.
func (s Security) check(address, doing, instead string) error {
	if s.Files != (wire.TLSFiles{}) {
		return nil
	}
	if err := checkToken(address, doing, instead); err != nil {
		return err
	}
	if s.tls == nil {
		return fmt.Errorf("%w: %s takes a token or mutual TLS", wire.ErrInsecure, doing)
	}
	return nil
}

// CheckToken makes sure that a token, whichever it is, is enough for calling an address: one
// on loopback.
func CheckToken(address string) error { return checkToken(address, "talking to "+address, "") }

func checkToken(address, doing, instead string) error {
	loopback, err := IsLoopback(address)
	if err != nil {
		return err
	}
	if !loopback {
		return fmt.Errorf("%w: %s, which other machines can reach, takes mutual TLS; make certificates with `engine-submit certs DIR` and give --tls-ca, --tls-cert and --tls-key%s",
			wire.ErrInsecure, doing, instead)
	}
	return nil
}

// IsLoopback reports whether only this machine reaches a host:port. Names are
// not looked up: of them only localhost is.
func IsLoopback(address string) (bool, error) {
	host, port, err := net.SplitHostPort(address)
	if err == nil && port == "" {
		err = &net.AddrError{Err: "missing port in address", Addr: address}
	}
	if err != nil {
		why := err.Error()
		if a, ok := errors.AsType[*net.AddrError](err); ok {
			why = a.Err // without the address
		}
		return false, wire.Misuse(fmt.Sprintf("address %q: %s; it takes host:port, e.g. 127.0.0.1:7077", address, why))
	}
	if n, err := strconv.Atoi(port); err == nil && (n < 0 || n > 65535) {
		return false, wire.Misuse(fmt.Sprintf("address %q: %d is no port, which is at most 65535", address, n))
	}
	if host == "localhost" {
		return true, nil
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback(), nil
}
