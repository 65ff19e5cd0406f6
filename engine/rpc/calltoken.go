package rpc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/hibana-engine/hibana/engine/wire"
)

// tokenHeader carries the token of a call.
const tokenHeader = "hibana-token"

// callToken shows a token with each call. It implements credentials.PerRPCCredentials.
type callToken string

// GetRequestMetadata returns the token.
func (t callToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{tokenHeader: string(t)}, nil
}

// RequireTransportSecurity returns true: only whose certificate was verified is
// shown a token.
func (callToken) RequireTransportSecurity() bool { return true }

// errNoToken says what a caller lacked.
var errNoToken = errors.New("the call carries no valid token")

// authorize returns the interceptors that demand a token of each call; nothing
// for "".
func authorize(token string) (unary []grpc.UnaryServerInterceptor, stream []grpc.StreamServerInterceptor) {
	if token == "" {
		return nil, nil
	}
	check := func(ctx context.Context) error {
		md, _ := metadata.FromIncomingContext(ctx)
		if got := md.Get(tokenHeader); len(got) != 1 || subtle.ConstantTimeCompare([]byte(got[0]), []byte(token)) != 1 {
			return fmt.Errorf("%w: %w", wire.ErrUnauthenticated, errNoToken)
		}
		return nil
	}
	unary = append(unary, func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if err := check(ctx); err != nil {
			return nil, err
		}
		return next(ctx, req)
	})
	stream = append(stream, func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		if err := check(ss.Context()); err != nil {
			return err
		}
		return next(srv, ss)
	})
	return unary, stream
}
