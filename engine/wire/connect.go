package wire

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// Intervals and limits of connections.
const (
	// HeartbeatInterval is how often daemons say that they are alive.
	HeartbeatInterval = 500 * time.Millisecond
	// CallTimeout bounds a call that waits for nothing but the other process.
	CallTimeout = 10 * time.Second

	keepaliveIdle    = 2 * time.Second // a silent peer is asked whether it is there
	keepaliveTimeout = 3 * time.Second // and given up if it doesn't answer
	connectTimeout   = 2 * time.Second
	streamWindow     = 1 << 20 // bytes in flight on one stream
	connWindow       = 8 << 20 // and on one connection
	maxStreams       = 4096    // on one connection
)

// GRPCProtocol is the name of gRPC in TLS's protocol negotiation.
const GRPCProtocol = "h2"

// NewServer returns a server that demands what s holds: certificates, the
// token, or both. Its listener's address was checked with CheckListen.
func NewServer(s Security) *grpc.Server {
	creds := insecure.NewCredentials()
	if c := s.TLS(GRPCProtocol); c != nil {
		creds = credentials.NewTLS(c)
	}
	return newServer(creds, s.Token)
}

// NewServerOn is NewServer for listeners whose connections have done TLS's
// handshake already.
func NewServerOn(s Security) *grpc.Server { return newServer(handshaken{}, s.Token) }

func newServer(creds credentials.TransportCredentials, token string) *grpc.Server {
	unary, stream := authorize(token)
	// Errors get their identity outside of everything that returns them.
	unary = append([]grpc.UnaryServerInterceptor{serverUnary}, unary...)
	stream = append([]grpc.StreamServerInterceptor{serverStream}, stream...)
	return grpc.NewServer(
		grpc.Creds(creds),
		grpc.ForceServerCodecV2(codec{}),
		grpc.ChainUnaryInterceptor(unary...),
		grpc.ChainStreamInterceptor(stream...),
		grpc.MaxRecvMsgSize(MaxMessage),
		grpc.MaxSendMsgSize(MaxMessage),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(connectTimeout),
		grpc.InitialWindowSize(streamWindow),
		grpc.InitialConnWindowSize(connWindow),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveIdle / 2, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveIdle, Timeout: keepaliveTimeout}),
	)
}

// Dial returns a connection to address, which is opened by the first call and
// again, with back-off, when it breaks. The caller closes it.
func Dial(address string, s Security) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if c := s.TLS(GRPCProtocol); c != nil {
		creds = credentials.NewTLS(c)
	} else if loopback, err := isLoopback(address); err != nil {
		return nil, err
	} else if !loopback {
		return nil, fmt.Errorf("%w: talking to %s, which is another machine, takes mutual TLS: give --tls-ca, --tls-cert and --tls-key", ErrInsecure, address)
	}
	opts := clientOptions(creds)
	if s.Token != "" {
		opts = append(opts, grpc.WithPerRPCCredentials(callToken(s.Token)))
	}
	cc, err := grpc.NewClient("passthrough:///"+address, opts...)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	}
	return cc, nil
}

// clientOptions are the options of all clients.
func clientOptions(creds credentials.TransportCredentials) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{}), grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		grpc.WithUnaryInterceptor(clientUnary),
		grpc.WithStreamInterceptor(clientStream),
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
	}
}

// handshaken are the credentials of connections that came through TLS, or
// through the token's door, before gRPC sees them.
type handshaken struct{}

// ServerHandshake does nothing: it is done.
func (handshaken) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	level := credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}
	if t, ok := c.(*tls.Conn); ok {
		level.SecurityLevel = credentials.PrivacyAndIntegrity
		return c, credentials.TLSInfo{State: t.ConnectionState(), CommonAuthInfo: level}, nil
	}
	return c, doneInfo{level}, nil
}

// ClientHandshake is for servers only.
func (handshaken) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, fmt.Errorf("%w: these credentials are a server's", ErrInvalid)
}

// Info describes the credentials.
func (handshaken) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "hibana"}
}

// Clone returns a copy.
func (h handshaken) Clone() credentials.TransportCredentials { return h }

// OverrideServerName does nothing.
func (handshaken) OverrideServerName(string) error { return nil }

// doneInfo says that there is no transport security.
type doneInfo struct{ credentials.CommonAuthInfo }

// AuthType names it.
func (doneInfo) AuthType() string { return "hibana" }
