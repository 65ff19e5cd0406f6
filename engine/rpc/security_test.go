package rpc_test

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/rpc/rpctest"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/security/securitytest"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Processes with the same secret talk to each other, and to nobody else. The
// client hears why.
func TestToken(t *testing.T) {
	right := security.NewToken()
	certified := securitytest.NewAuthority(t).Node(t, "127.0.0.1", time.Now().Add(time.Hour))
	address := rpctest.Serve(t, security.Security{}.WithToken(right), rpctest.Echo)
	for name, c := range map[string]struct {
		address string
		client  security.Security
		says    string // "" where it is let in
	}{
		"right token":              {address, security.Security{}.WithToken(right), ""},
		"wrong token":              {address, securitytest.Token(), "--token-file"},
		"part of it":               {address, security.Security{}.WithToken(right[:10]), "--token-file"},
		"token to certificates":    {rpctest.Serve(t, certified, rpctest.Echo), securitytest.Token(), "--token-file"},
		"certificates to a token":  {address, certified, "certificate"},
		"token to what has no TLS": {serveOpen(t), securitytest.Token(), "doesn't speak TLS"},
	} {
		err := rpctest.Attach(rpctest.Dial(t, c.address, c.client))
		if c.says == "" != (err == nil) || err != nil && !strings.Contains(rpc.Brief(err), c.says) {
			t.Errorf("%s: %v, want it to say %q", name, err, c.says)
		}
		if rpc.Strange(err) != (c.says == "--token-file") {
			t.Errorf("%s: rpc.Strange is %v", name, rpc.Strange(err))
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
	server := rpc.NewPairServer(20 * time.Second)
	rpctest.Echo(server)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-done })
	return l.Addr().String()
}

// A server takes no connection without TLS, without a certificate, or with one of
// another key, whatever else the client is content with.
func TestStrangersAreTurnedAway(t *testing.T) {
	ours := securitytest.Token()
	doors := map[string]string{"token": rpctest.Serve(t, ours, rpctest.Echo), "nothing": rpctest.Serve(t, security.Security{}, rpctest.Echo)}
	for door, address := range doors {
		for name, certificates := range map[string][]tls.Certificate{"no certificate": nil, "his own": {ownCertificate(t)}} {
			conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{rpc.GRPCProtocol}, Certificates: certificates})
			if err == nil { // the server looks at the certificate after that
				_, err = conn.Read(make([]byte, 1))
				_ = conn.Close()
			}
			if err == nil {
				t.Errorf("a server with %s let in somebody with %s", door, name)
			}
		}
		open, err := grpc.NewClient("passthrough:///"+address, rpc.ClientOptions(insecure.NewCredentials())...)
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close()
		if err := rpctest.Attach(open); err == nil {
			t.Errorf("a server with %s let in somebody without TLS", door)
		}
	}
}

// A server that awaits connections whose handshake is done takes no others.
func TestNewServerOn(t *testing.T) {
	s := securitytest.Token()
	for name, wrap := range map[string]func(net.Listener) net.Listener{
		"with TLS":    func(l net.Listener) net.Listener { return tls.NewListener(l, s.TLS(rpc.GRPCProtocol)) },
		"without TLS": func(l net.Listener) net.Listener { return l },
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := rpc.NewServerOn(s)
		rpctest.Echo(server)
		done := make(chan struct{})
		go func() { defer close(done); _ = server.Serve(wrap(l)) }()
		err = rpctest.Attach(rpctest.Dial(t, l.Addr().String(), s))
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
	node := securitytest.NewAuthority(t).Node(t, "127.0.0.1", time.Now().Add(time.Hour))
	right := security.NewToken()
	address := rpctest.Serve(t, node.WithToken(right), func(r grpc.ServiceRegistrar) { rpctest.Echo(r); wire.RegisterLogs(r, noLogs{}) })
	for name, c := range map[string]struct {
		s  security.Security
		ok bool
	}{
		"right": {node.WithToken(right), true},
		"none":  {node, false},
		"wrong": {node.WithToken(security.NewToken()), false},
		"part":  {node.WithToken(right[:10]), false},
	} {
		cc := rpctest.Dial(t, address, c.s)
		if err := rpctest.Attach(cc); c.ok != (err == nil) || !c.ok && !errors.Is(err, wire.ErrUnauthenticated) {
			t.Errorf("%s token: %v", name, err)
		}
		s, err := wire.LogsClient{CC: cc}.Logs(t.Context(), &wire.LogsRequest{})
		if err == nil {
			_, err = s.Recv()
		}
		if c.ok == errors.Is(err, wire.ErrUnauthenticated) {
			t.Errorf("%s token, a stream: %v", name, err)
		}
	}
	err := rpctest.Dial(t, address, node).Invoke(t.Context(), "/hibana.Worker/Attach", &wire.ReadyRequest{Address: "no field of Attach"}, &wire.ExecutorSpec{})
	if !errors.Is(err, wire.ErrUnauthenticated) {
		t.Errorf("a message that can't be decoded: %v", err)
	}
}

// noLogs is a Logs service that knows no job.
type noLogs struct{}

func (noLogs) Logs(*wire.LogsRequest, grpc.ServerStreamingServer[wire.Chunk]) error {
	return wire.ErrNoJob
}

// A known caller who sends another message than the method takes, or a method
// that isn't there, gets an error.
func TestClosedSet(t *testing.T) {
	s := securitytest.Token()
	cc := rpctest.Dial(t, rpctest.Serve(t, s, rpctest.Echo), s)
	if err := cc.Invoke(t.Context(), "/hibana.Worker/Attach", &wire.ReadyRequest{Address: "x"}, &wire.ExecutorSpec{}); err == nil || !strings.Contains(err.Error(), "unknown field") {
		t.Errorf("another message: %v", err)
	}
	if err := cc.Invoke(t.Context(), "/hibana.Worker/Run", &wire.AttachExecutor{}, &wire.ExecutorSpec{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("another method: %v", err)
	}
	big := &wire.AttachExecutor{Name: strings.Repeat("x", wire.MaxMessage)}
	if err := cc.Invoke(t.Context(), "/hibana.Worker/Attach", big, &wire.ExecutorSpec{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a large message: %v", err)
	}
	if err := rpctest.Attach(cc); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestMutualTLS(t *testing.T) {
	hour := time.Now().Add(time.Hour)
	ours := securitytest.NewAuthority(t)
	node := ours.Node(t, "127.0.0.1", hour)
	address := rpctest.Serve(t, node, rpctest.Echo)
	if err := rpctest.Attach(rpctest.Dial(t, address, ours.Node(t, "127.0.0.1", hour))); err != nil {
		t.Errorf("the same authority: %v", err)
	}
	stranger := securitytest.NewAuthority(t).Node(t, "127.0.0.1", hour)
	refused := map[string]*grpc.ClientConn{
		"another authority":   rpctest.Dial(t, address, stranger),
		"an old certificate":  rpctest.Dial(t, address, ours.Node(t, "127.0.0.1", time.Now().Add(-time.Hour))),
		"a token":             rpctest.Dial(t, address, securitytest.Token()),
		"no certificate":      dialTLS(t, address, node, nil),
		"another's authority": dialTLS(t, address, node, stranger.TLS().Certificates),
		"a server elsewhere":  rpctest.Dial(t, rpctest.Serve(t, ours.Node(t, "192.0.2.1", hour), rpctest.Echo), node), // whose certificate is another address's
	}
	for name, cc := range refused {
		if err := rpctest.Attach(cc); err == nil {
			t.Errorf("%s was let in", name)
		}
	}
}

// dialTLS connects to an address as a client that trusts s's authority and shows
// other certificates.
func dialTLS(t *testing.T, address string, s security.Security, shown []tls.Certificate) *grpc.ClientConn {
	t.Helper()
	c := &tls.Config{RootCAs: s.TLS().RootCAs, Certificates: shown, NextProtos: []string{rpc.GRPCProtocol}}
	cc, err := grpc.NewClient("passthrough:///"+address, rpc.ClientOptions(credentials.NewTLS(c))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

// Off loopback there is no listener and no call without mutual TLS.
func TestLoopbackOnly(t *testing.T) {
	plain := securitytest.Token()
	certified := securitytest.NewAuthority(t).Node(t, "127.0.0.1", time.Now().Add(time.Hour))
	for _, c := range []struct {
		address string
		plain   error
	}{
		{"127.0.0.1:0", nil}, {"127.8.8.8:1", nil}, {"[::1]:0", nil}, {"localhost:0", nil},
		{"0.0.0.0:0", wire.ErrInsecure}, {":7077", wire.ErrInsecure}, {"[::]:0", wire.ErrInsecure}, {"192.168.1.1:1", wire.ErrInsecure},
		{"localhost.example.com:1", wire.ErrInsecure}, {"127.0.0.1.example.com:1", wire.ErrInsecure},
		{"127.0.0.1", wire.ErrInvalid}, {"", wire.ErrInvalid},
	} {
		if err := plain.CheckListen(c.address); !errors.Is(err, c.plain) {
			t.Errorf("listening on %q: %v", c.address, err)
		}
		if cc, err := rpc.Dial(c.address, plain); !errors.Is(err, c.plain) {
			t.Errorf("calling %q: %v", c.address, err)
		} else if err == nil {
			_ = cc.Close()
		}
		if err := certified.CheckListen(c.address); err != nil {
			t.Errorf("listening on %q with certificates: %v", c.address, err)
		}
	}
	for name, s := range map[string]security.Security{"nothing": {}, "an empty token": security.Security{}.WithToken("")} {
		if err := s.CheckListen("127.0.0.1:0"); !errors.Is(err, wire.ErrInsecure) {
			t.Errorf("listening with %s: %v", name, err)
		}
		if _, err := rpc.Dial("127.0.0.1:1", s); !errors.Is(err, wire.ErrInsecure) {
			t.Errorf("calling with %s: %v", name, err)
		}
	}
}
