package security

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/hibana-engine/hibana/engine/wire"
)

// Processes that share a secret never send it. Each derives the same Ed25519 key
// from it, shows a certificate of that key in TLS's handshake, and takes a peer
// that shows it too. So another user's process on the port of one that is dead
// learns nothing and is told nothing, and neither is one that relays.
//
// Whoever connects sees the public key, so a secret must be too random to guess
// from it: it is of NewToken.

// secretInfo makes the key one of this protocol and version (RFC 5869, info).
const secretInfo = "hibana TLS key 1"

// ErrStranger says that the process at the other end doesn't know the secret. Its
// text is what strange finds in gRPC's errors.
var ErrStranger = errors.New("the other process doesn't show that it knows the token; processes of one cluster share a token file (--token-file), or certificates (--tls-ca, --tls-cert, --tls-key)")

// secretTLS returns the configuration, for both ends, of connections between
// those who know a secret. With "" there is none: no handshake succeeds. Names,
// times and authorities mean nothing in it.
func secretTLS(secret string) *tls.Config {
	own := sync.OnceValues(func() (*tls.Certificate, error) { return secretCertificate(secret) })
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own() },
		GetClientCertificate:   func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own() },
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // of authority and name: VerifyConnection takes one key only
		SessionTicketsDisabled: true,
		VerifyConnection: func(peer tls.ConnectionState) error {
			c, err := own()
			if err != nil {
				return err
			}
			key := c.Leaf.PublicKey.(ed25519.PublicKey)
			if len(peer.PeerCertificates) == 0 || !key.Equal(peer.PeerCertificates[0].PublicKey) {
				return fmt.Errorf("%w: %w", wire.ErrUnauthenticated, ErrStranger)
			}
			return nil
		},
	}
}

// secretCertificate returns the certificate of a secret's key, signed by itself.
func secretCertificate(secret string) (*tls.Certificate, error) {
	if secret == "" {
		return nil, fmt.Errorf("%w: there is neither a token nor a certificate", wire.ErrInsecure)
	}
	seed, err := hkdf.Key(sha256.New, []byte(secret), nil, secretInfo, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("deriving a key from the token: %w", err)
	}
	key := ed25519.NewKeyFromSeed(seed)
	template := &x509.Certificate{ // of no time either, but those who look at it shouldn't read of the year 1
		SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(253402300799, 0), // RFC 5280: without an end
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making the token's certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("making the token's certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
