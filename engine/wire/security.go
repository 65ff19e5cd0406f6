package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// TLSFiles name a node's certificate, its key and the certificate authority
// that all nodes of the cluster share, in PEM. Either all are set or none.
type TLSFiles struct {
	CA   string `msgpack:"ca"`
	Cert string `msgpack:"cert"`
	Key  string `msgpack:"key"`
}

// Security is what a process knows to show that it belongs here and to check
// that others do: certificates, or a token where all is on loopback. The zero
// value opens nothing.
type Security struct {
	Token string   // shared secret; "" where there is none
	Files TLSFiles // where TLS was loaded from
	tls   *tls.Config
}

// LoadTLS returns a Security with the certificates in files, whose paths it
// makes absolute: processes of jobs, which run in other directories, load them too.
func LoadTLS(files TLSFiles) (Security, error) {
	if files.CA == "" || files.Cert == "" || files.Key == "" {
		return Security{}, fmt.Errorf("%w: mutual TLS takes a CA, a certificate and its key; make them with `engine-submit certs DIR`", ErrInsecure)
	}
	for _, path := range []*string{&files.CA, &files.Cert, &files.Key} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return Security{}, fmt.Errorf("finding the certificate file %s: %w", *path, err)
		}
		*path = absolute
	}
	cert, err := tls.LoadX509KeyPair(files.Cert, files.Key)
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
	return Security{Files: files, tls: &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cert},
		RootCAs:      pool,
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	}}, nil
}

// WithToken returns a copy of s that shows another token, such as a job's secret.
func (s Security) WithToken(token string) Security {
	s.Token = token
	return s
}

// TLS returns the configuration for connections, with the protocols that one
// side offers or the other takes; nil without TLS. Both sides verify the other.
func (s Security) TLS(protocols ...string) *tls.Config {
	if s.tls == nil {
		return nil
	}
	c := s.tls.Clone()
	c.NextProtos = protocols
	return c
}

// CheckListen makes sure that a listener at address may be opened: with TLS
// anywhere, without it only on loopback and with a token.
func (s Security) CheckListen(address string) error {
	if s.tls != nil {
		return nil
	}
	loopback, err := isLoopback(address)
	if err != nil {
		return err
	}
	if !loopback {
		return fmt.Errorf("%w: %s can be reached from other machines, which takes mutual TLS; make certificates with `engine-submit certs DIR` and give --tls-ca, --tls-cert and --tls-key, or listen on 127.0.0.1", ErrInsecure, address)
	}
	if s.Token == "" {
		return fmt.Errorf("%w: listening on %s takes a token or mutual TLS", ErrInsecure, address)
	}
	return nil
}

// isLoopback reports whether only this machine reaches a host:port. Names are
// not looked up: of them only localhost is.
func isLoopback(address string) (bool, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false, fmt.Errorf("%w: address %q: %w; it takes host:port, e.g. 127.0.0.1:7077", ErrInvalid, address, err)
	}
	if host == "localhost" {
		return true, nil
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback(), nil
}

// errNoCredentials says what a caller lacked.
var errNoCredentials = errors.New("the call carries no valid token; processes of one cluster share a token file (--token-file), or certificates (--tls-ca, --tls-cert, --tls-key)")
