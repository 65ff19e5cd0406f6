package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
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

// NewServer returns a server that demands what s holds. Its listener's address
// was checked with CheckListen.
func NewServer(s Security) *grpc.Server {
	return newServer(credentials.NewTLS(s.TLS(GRPCProtocol)), s.token)
}

// NewServerOn is NewServer for listeners whose connections have done TLS's
// handshake already.
func NewServerOn(s Security) *grpc.Server { return newServer(handshaken{}, s.token) }

func newServer(creds credentials.TransportCredentials, token string, more ...grpc.ServerOption) *grpc.Server {
	unary, stream := authorize(token)
	// Errors get their identity outside of everything that returns them.
	unary = append([]grpc.UnaryServerInterceptor{serverUnary}, unary...)
	stream = append([]grpc.StreamServerInterceptor{serverStream}, stream...)
	return grpc.NewServer(append([]grpc.ServerOption{
		grpc.Creds(creds),
		grpc.ForceServerCodecV2(Codec{}),
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
	}, more...)...)
}

// Dial returns a connection to address, which is opened by the first call and
// again, with back-off, when it breaks. The caller closes it.
func Dial(address string, s Security) (*grpc.ClientConn, error) {
	if err := s.check(address, "talking to "+address, ""); err != nil {
		return nil, err
	}
	opts := clientOptions(clientTLS{credentials.NewTLS(s.TLS(GRPCProtocol))})
	if s.token != "" {
		opts = append(opts, grpc.WithPerRPCCredentials(callToken(s.token)))
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
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(Codec{}), grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
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

// clientTLS are credentials whose errors say what doesn't speak TLS.
type clientTLS struct {
	credentials.TransportCredentials
}

// ClientHandshake makes conn a TLS connection.
func (c clientTLS) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := c.TransportCredentials.ClientHandshake(ctx, authority, conn)
	if _, other := errors.AsType[tls.RecordHeaderError](err); other {
		err = fmt.Errorf("%s doesn't speak TLS: has another program the port, or an older version of this one? %w", conn.RemoteAddr(), err)
	}
	return secured, info, err
}

// Clone returns a copy.
func (c clientTLS) Clone() credentials.TransportCredentials {
	return clientTLS{c.TransportCredentials.Clone()}
}

// handshaken are a server's credentials for connections that have done TLS's
// handshake before gRPC sees them.
type handshaken struct{}

// ServerHandshake does nothing: it is done.
func (handshaken) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, ok := c.(*tls.Conn)
	if !ok {
		return nil, nil, fmt.Errorf("%w: a connection without TLS", ErrInsecure)
	}
	return c, credentials.TLSInfo{
		State: secured.ConnectionState(), CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}, nil
}

// ClientHandshake is for servers only.
func (handshaken) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, fmt.Errorf("%w: these credentials are a server's", ErrInvalid)
}

// Info describes the credentials.
func (handshaken) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone returns a copy.
func (h handshaken) Clone() credentials.TransportCredentials { return h }

// OverrideServerName does nothing.
func (handshaken) OverrideServerName(string) error { return nil }
