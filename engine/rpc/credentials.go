package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"

	"github.com/hibana-engine/hibana/engine/wire"
)

// clientTLS are credentials whose errors say what doesn't speak TLS.
type clientTLS struct {
	credentials.TransportCredentials
}

// ClientHandshake makes conn a TLS connection.
func (c clientTLS) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := c.TransportCredentials.ClientHandshake(ctx, authority, conn)
	if _, other := errors.AsType[tls.RecordHeaderError](err); other {
		err = fmt.Errorf("%s doesn't speak TLS: has another program the port, or an older version of this one? %w",
			conn.RemoteAddr(), err)
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
		return nil, nil, fmt.Errorf("%w: a connection without TLS", wire.ErrInsecure)
	}
	return c, credentials.TLSInfo{
		State: secured.ConnectionState(), CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}, nil
}

// ClientHandshake is for servers only.
func (handshaken) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, fmt.Errorf("%w: these credentials are a server's", wire.ErrInvalid)
}

// Info describes the credentials.
func (handshaken) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone returns a copy.
func (h handshaken) Clone() credentials.TransportCredentials { return h }

// OverrideServerName does nothing.
func (handshaken) OverrideServerName(string) error { return nil }
