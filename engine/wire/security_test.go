package wire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// authority makes certificates of one CA.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, "ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) write(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// node returns the Security of a node with a certificate for an address.
func (a *authority) node(t *testing.T, ip string, notAfter time.Time) Security {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "node"}, IPAddresses: []net.IP{net.ParseIP(ip)}, NotAfter: notAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := LoadTLS(TLSFiles{CA: filepath.Join(a.dir, "ca.pem"), Cert: a.write(t, "node.pem", "CERTIFICATE", der), Key: a.write(t, "node.key", "EC PRIVATE KEY", keyDER)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// attach calls the echo service.
func attach(cc grpc.ClientConnInterface) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err := WorkerClient{cc}.Attach(ctx, &AttachExecutor{Name: "me"})
	return err
}

// Processes with the same secret talk to each other, and to nobody else. The
// client hears why.
func TestToken(t *testing.T) {
	right := NewToken()
	certified := newAuthority(t).node(t, "127.0.0.1", time.Now().Add(time.Hour))
	address := serve(t, Security{}.WithToken(right), echo)
	for name, c := range map[string]struct {
		address string
		client  Security
		says    string // "" where it is let in
	}{
		"right token":              {address, Security{}.WithToken(right), ""},
		"wrong token":              {address, withToken(), "--token-file"},
		"part of it":               {address, Security{}.WithToken(right[:10]), "--token-file"},
		"token to certificates":    {serve(t, certified, echo), withToken(), "--token-file"},
		"certificates to a token":  {address, certified, "certificate"},
		"token to what has no TLS": {serveOpen(t), withToken(), "doesn't speak TLS"},
	} {
		err := attach(dial(t, c.address, c.client))
		if c.says == "" != (err == nil) || err != nil && !strings.Contains(Brief(err), c.says) {
			t.Errorf("%s: %v, want it to say %q", name, err, c.says)
		}
		if strange(err) != (c.says == "--token-file") {
			t.Errorf("%s: strange is %v", name, strange(err))
		}
	}
}

// serveOpen serves without TLS.
func serveOpen(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewParentServer(20 * time.Second)
	echo(server)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-done })
	return l.Addr().String()
}

// A server takes no connection without TLS, without a certificate, or with one of
// another key, whatever else the client is content with.
func TestStrangersAreTurnedAway(t *testing.T) {
	ours := withToken()
	doors := map[string]string{"token": serve(t, ours, echo), "nothing": serve(t, Security{}, echo)}
	for door, address := range doors {
		for name, certificates := range map[string][]tls.Certificate{"no certificate": nil, "his own": {ownCertificate(t)}} {
			conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{GRPCProtocol}, Certificates: certificates})
			if err == nil { // the server looks at the certificate after that
				_, err = conn.Read(make([]byte, 1))
				_ = conn.Close()
			}
			if err == nil {
				t.Errorf("a server with %s let in somebody with %s", door, name)
			}
		}
		open, err := grpc.NewClient("passthrough:///"+address, clientOptions(insecure.NewCredentials())...)
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close()
		if err := attach(open); err == nil {
			t.Errorf("a server with %s let in somebody without TLS", door)
		}
	}
}

// A server that awaits connections whose handshake is done takes no others.
func TestNewServerOn(t *testing.T) {
	s := withToken()
	for name, wrap := range map[string]func(net.Listener) net.Listener{
		"with TLS":    func(l net.Listener) net.Listener { return tls.NewListener(l, s.TLS(GRPCProtocol)) },
		"without TLS": func(l net.Listener) net.Listener { return l },
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := NewServerOn(s)
		echo(server)
		done := make(chan struct{})
		go func() { defer close(done); _ = server.Serve(wrap(l)) }()
		err = attach(dial(t, l.Addr().String(), s))
		server.Stop()
		<-done
		if (err == nil) != (name == "with TLS") {
			t.Errorf("a connection %s: %v", name, err)
		}
	}
}

// Inside of certificates' TLS each call shows the token, a stream's too, and who
// doesn't isn't even decoded.
func TestTokenInsideCertificates(t *testing.T) {
	node := newAuthority(t).node(t, "127.0.0.1", time.Now().Add(time.Hour))
	right := NewToken()
	address := serve(t, node.WithToken(right), func(r grpc.ServiceRegistrar) { echo(r); RegisterLogs(r, noLogs{}) })
	for name, c := range map[string]struct {
		s  Security
		ok bool
	}{
		"right": {node.WithToken(right), true},
		"none":  {node, false},
		"wrong": {node.WithToken(NewToken()), false},
		"part":  {node.WithToken(right[:10]), false},
	} {
		cc := dial(t, address, c.s)
		if err := attach(cc); c.ok != (err == nil) || !c.ok && !errors.Is(err, ErrUnauthenticated) {
			t.Errorf("%s token: %v", name, err)
		}
		s, err := LogsClient{cc}.Logs(t.Context(), &LogsRequest{})
		if err == nil {
			_, err = s.Recv()
		}
		if c.ok == errors.Is(err, ErrUnauthenticated) {
			t.Errorf("%s token, a stream: %v", name, err)
		}
	}
	err := dial(t, address, node).Invoke(t.Context(), "/hibana.Worker/Attach", &ReadyRequest{Address: "no field of Attach"}, &ExecutorSpec{})
	if !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("a message that can't be decoded: %v", err)
	}
}

// noLogs is a Logs service that knows no job.
type noLogs struct{}

func (noLogs) Logs(*LogsRequest, grpc.ServerStreamingServer[Chunk]) error { return ErrNoJob }

// A known caller who sends another message than the method takes, or a method
// that isn't there, gets an error.
func TestClosedSet(t *testing.T) {
	s := withToken()
	cc := dial(t, serve(t, s, echo), s)
	if err := cc.Invoke(t.Context(), "/hibana.Worker/Attach", &ReadyRequest{Address: "x"}, &ExecutorSpec{}); err == nil || !strings.Contains(err.Error(), "unknown field") {
		t.Errorf("another message: %v", err)
	}
	if err := cc.Invoke(t.Context(), "/hibana.Worker/Run", &AttachExecutor{}, &ExecutorSpec{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("another method: %v", err)
	}
	big := &AttachExecutor{Name: strings.Repeat("x", MaxMessage)}
	if err := cc.Invoke(t.Context(), "/hibana.Worker/Attach", big, &ExecutorSpec{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a large message: %v", err)
	}
	if err := attach(cc); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestMutualTLS(t *testing.T) {
	hour := time.Now().Add(time.Hour)
	ours := newAuthority(t)
	node := ours.node(t, "127.0.0.1", hour)
	address := serve(t, node, echo)
	if err := attach(dial(t, address, ours.node(t, "127.0.0.1", hour))); err != nil {
		t.Errorf("the same authority: %v", err)
	}
	stranger := newAuthority(t).node(t, "127.0.0.1", hour)
	refused := map[string]Security{
		"another authority":   stranger,
		"an old certificate":  ours.node(t, "127.0.0.1", time.Now().Add(-time.Hour)),
		"a token":             withToken(),
		"no certificate":      {Files: node.Files, tls: &tls.Config{RootCAs: node.tls.RootCAs}},
		"a server elsewhere":  {}, // below
		"another's authority": {Files: node.Files, tls: &tls.Config{RootCAs: node.tls.RootCAs, Certificates: stranger.tls.Certificates}},
	}
	for name, s := range refused {
		at := address
		if name == "a server elsewhere" { // whose certificate is another address's
			at, s = serve(t, ours.node(t, "192.0.2.1", hour), echo), node
		}
		if err := attach(dial(t, at, s)); err == nil {
			t.Errorf("%s was let in", name)
		}
	}
}

func TestLoadTLS(t *testing.T) {
	files := newAuthority(t).node(t, "127.0.0.1", time.Now().Add(time.Hour)).Files
	notPEM := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(notPEM, []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]TLSFiles{
		"two of three":    {CA: files.CA, Cert: files.Cert},
		"missing file":    {CA: files.CA + "?", Cert: files.Cert, Key: files.Key},
		"CA isn't PEM":    {CA: notPEM, Cert: files.Cert, Key: files.Key},
		"key isn't PEM":   {CA: files.CA, Cert: files.Cert, Key: notPEM},
		"key of the cert": {CA: files.CA, Cert: files.CA, Key: files.Key},
		"another's CA":    {CA: newAuthority(t).node(t, "127.0.0.1", time.Now().Add(time.Hour)).Files.CA, Cert: files.Cert, Key: files.Key},
	} {
		if _, err := LoadTLS(f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for mode, want := range map[os.FileMode]error{0o600: nil, 0o400: nil, 0o644: ErrInsecure, 0o640: ErrInsecure, 0o620: ErrInsecure} {
		if err := os.Chmod(files.Key, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadTLS(files); !errors.Is(err, want) || err != nil && !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("a key of mode %o: %v", mode, err)
		}
	}
}

// Off loopback there is no listener and no call without mutual TLS.
func TestLoopbackOnly(t *testing.T) {
	plain := withToken()
	certified := newAuthority(t).node(t, "127.0.0.1", time.Now().Add(time.Hour))
	for _, c := range []struct {
		address string
		plain   error
	}{
		{"127.0.0.1:0", nil}, {"127.8.8.8:1", nil}, {"[::1]:0", nil}, {"localhost:0", nil},
		{"0.0.0.0:0", ErrInsecure}, {":7077", ErrInsecure}, {"[::]:0", ErrInsecure}, {"192.168.1.1:1", ErrInsecure},
		{"localhost.example.com:1", ErrInsecure}, {"127.0.0.1.example.com:1", ErrInsecure},
		{"127.0.0.1", ErrInvalid}, {"", ErrInvalid},
	} {
		if err := plain.CheckListen(c.address); !errors.Is(err, c.plain) {
			t.Errorf("listening on %q: %v", c.address, err)
		}
		if cc, err := Dial(c.address, plain); !errors.Is(err, c.plain) {
			t.Errorf("calling %q: %v", c.address, err)
		} else if err == nil {
			_ = cc.Close()
		}
		if err := certified.CheckListen(c.address); err != nil {
			t.Errorf("listening on %q with certificates: %v", c.address, err)
		}
	}
	for name, s := range map[string]Security{"nothing": {}, "an empty token": Security{}.WithToken("")} {
		if err := s.CheckListen("127.0.0.1:0"); !errors.Is(err, ErrInsecure) {
			t.Errorf("listening with %s: %v", name, err)
		}
		if _, err := Dial("127.0.0.1:1", s); !errors.Is(err, ErrInsecure) {
			t.Errorf("calling with %s: %v", name, err)
		}
	}
}

func TestTokenFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "deep", "token")
	var wg sync.WaitGroup
	tokens := make([]string, 8)
	for i := range tokens { // started together, they agree
		wg.Go(func() { tokens[i], _ = LoadToken(path) })
	}
	wg.Wait()
	for _, tok := range tokens {
		if tok != tokens[0] || len(tok) != 2*tokenBytes {
			t.Fatalf("tokens %q", tokens)
		}
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("%d files are left", len(left))
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	for _, mode := range []os.FileMode{0o644, 0o640, 0o660, 0o602} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadToken(path); !errors.Is(err, ErrInsecure) || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	for name, contents := range map[string]string{"empty": "", "short": "abcd\n", "words": strings.Repeat("word", 16), "long": strings.Repeat("a", 66)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(contents), 0o600); err != nil {
			t.Fatal(err)
		}
		if tok, err := LoadToken(path); err == nil {
			t.Errorf("%s: token %q", name, tok)
		}
	}
}

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
