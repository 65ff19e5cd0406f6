package rpc

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Intervals and limits of connections.
const (
	keepaliveIdle    = 2 * time.Second // a silent peer is asked whether it is there
	keepaliveTimeout = 3 * time.Second // and given up if it doesn't answer
	connectTimeout   = 2 * time.Second
	streamWindow     = 1 << 20 // bytes in flight on one stream
	connWindow       = 8 << 20 // and on one connection
	maxStreams       = 4096    // on one connection
)

// GRPCProtocol is the name of gRPC in TLS's protocol negotiation.
const GRPCProtocol = "h2"

// NewServer returns a server that demands what s holds. Its listener's address
// was checked with CheckListen. Interceptors among more see what the token allows.
func NewServer(s security.Security, more ...grpc.ServerOption) *grpc.Server {
	return newServer(credentials.NewTLS(s.TLS(GRPCProtocol)), s.CallToken(), more...)
}

// NewServerOn is NewServer for listeners whose connections have done TLS's
// handshake already.
func NewServerOn(s security.Security) *grpc.Server { return newServer(handshaken{}, s.CallToken()) }

func newServer(creds credentials.TransportCredentials, token string, more ...grpc.ServerOption) *grpc.Server {
	unary, stream := authorize(token)
	// Errors get their identity outside of everything that returns them.
	return grpc.NewServer(slices.Concat(wire.ServerOptions(), []grpc.ServerOption{
		grpc.Creds(creds),
		grpc.ChainUnaryInterceptor(unary...),
		grpc.ChainStreamInterceptor(stream...),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(connectTimeout),
		grpc.InitialWindowSize(streamWindow),
		grpc.InitialConnWindowSize(connWindow),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveIdle / 2, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveIdle, Timeout: keepaliveTimeout}),
	}, more)...)
}

// Dial returns a connection to address, which is opened by the first call and
// again, with back-off, when it breaks. The caller closes it.
func Dial(address string, s security.Security) (*grpc.ClientConn, error) {
	if err := s.CheckDial(address); err != nil {
		return nil, err
	}
	opts := clientOptions(clientTLS{credentials.NewTLS(s.TLS(GRPCProtocol))})
	if s.CallToken() != "" {
		opts = append(opts, grpc.WithPerRPCCredentials(callToken(s.CallToken())))
	}
	cc, err := grpc.NewClient("passthrough:///"+address, opts...)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	}
	return cc, nil
}

// NewPairServer returns a server for the connections of socket pairs: who holds the
// other end needs no token. It closes a connection over which nobody has spoken
// until patience is over.
func NewPairServer(patience time.Duration) *grpc.Server {
	return newServer(insecure.NewCredentials(), "", grpc.ConnectionTimeout(patience))
}

// DialPair returns a connection to the other end of a socket pair, called name in
// errors, which open returns.
func DialPair(name string, open func() (net.Conn, error)) (*grpc.ClientConn, error) {
	opts := append(clientOptions(insecure.NewCredentials()), grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
		return open()
	}))
	cc, err := grpc.NewClient("passthrough:///"+name, opts...)
	if err != nil {
		return nil, fmt.Errorf("connecting to the %s: %w", name, err)
	}
	return cc, nil
}

// clientOptions are the options of all clients.
func clientOptions(creds credentials.TransportCredentials) []grpc.DialOption {
	return append(wire.DialOptions(),
		grpc.WithTransportCredentials(creds),
		grpc.WithInitialWindowSize(streamWindow),
		grpc.WithInitialConnWindowSize(connWindow),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: keepaliveTimeout, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: connectTimeout,
		}),
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
		grpc.WithIdleTimeout(0),
	)
}
