package client

import (
	"errors"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/wire"
)

// plainError is an error of gRPC without the words that mean nothing to people.
type plainError struct {
	err     error
	message string
}

// Error returns gRPC's description.
func (e *plainError) Error() string { return e.message }

// Unwrap returns gRPC's error.
func (e *plainError) Unwrap() error { return e.err }

// plain takes gRPC's words off an error that comes from gRPC itself.
func plain(err error) error {
	if _, direct := err.(interface{ GRPCStatus() *status.Status }); direct {
		return &plainError{err: err, message: rpc.Brief(err)}
	}
	return err
}

// refused reports whether a call failed because one side doesn't know the
// other's token or certificate. Of a handshake gRPC keeps only the text.
func refused(err error) bool {
	if errors.Is(err, wire.ErrUnauthenticated) {
		return true
	}
	if status.Code(err) != codes.Unavailable {
		return false
	}
	text := status.Convert(err).Message()
	return slices.ContainsFunc([]string{"x509: ", "remote error: tls: ", "tls: first record", wire.ErrUnauthenticated.Error() + ": "}, func(cause string) bool {
		return strings.Contains(text, cause)
	})
}
