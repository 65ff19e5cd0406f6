package security

import (
	"crypto/x509"
	"errors"
	"testing"
)

// A token's certificate is of no authority, and that is what those say who know only
// authorities; it isn't expired.
func TestTokensCertificateHasNoEnd(t *testing.T) {
	c, err := secretCertificate("secret")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Leaf.Verify(x509.VerifyOptions{Roots: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("%T: %v", err, err)
	}
}
