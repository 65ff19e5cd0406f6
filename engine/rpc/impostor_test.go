package rpc_test

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/rpc/rpctest"
	"github.com/hibana-engine/hibana/engine/security"
)

// ownCertificate is a certificate that somebody made for himself.
func ownCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(nil, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

// Another user who listens on the port of a process that is dead gets neither the
// token nor a call.
func TestImpostorLearnsNothing(t *testing.T) {
	own := ownCertificate(t)
	for name, creds := range map[string]grpc.ServerOption{
		"without TLS":        grpc.EmptyServerOption{},
		"with a certificate": grpc.Creds(credentials.NewServerTLSFromCert(&own)),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			token, called := security.NewToken(), make(chan metadata.MD, 1)
			impostor := grpc.NewServer(creds, grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
				md, _ := metadata.FromIncomingContext(s.Context())
				called <- md
				return nil
			}))
			done := make(chan struct{})
			go func() { defer close(done); _ = impostor.Serve(l) }()
			defer func() { impostor.Stop(); <-done }()
			if err := rpctest.Attach(rpctest.Dial(t, l.Addr().String(), security.Security{}.WithToken(token))); err == nil {
				t.Error("the call succeeded")
			}
			select {
			case md := <-called:
				t.Errorf("it was called, with the token: %v", len(md.Get(rpc.TokenHeader)) == 1 && md.Get(rpc.TokenHeader)[0] == token)
			default:
			}
		})
	}
}
