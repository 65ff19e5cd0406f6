package wire

import (
	"context"
	"errors"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Names of the trailers that carry an error's identity.
const (
	errorTrailer  = "hibana-error"
	leaderTrailer = "hibana-leader"
)

// maxErrorText bounds the text of an error on the wire, in bytes.
const maxErrorText = 16 << 10

// errorKind is how one of the errors travels.
type errorKind struct {
	err  error
	name string
	code codes.Code
}

// errorKinds lists the errors that travel. The order matters where an error
// says two of them.
func errorKinds() []errorKind {
	return []errorKind{
		{ErrNotLeader, "not-leader", codes.FailedPrecondition},
		{ErrStaleEpoch, "stale-epoch", codes.Aborted},
		{ErrUnknownOutcome, "unknown-outcome", codes.Unknown},
		{ErrNoLeader, "no-leader", codes.Unavailable},
		{ErrJobEnded, "job-ended", codes.FailedPrecondition},
		{ErrNoJob, "no-job", codes.NotFound},
		{ErrSequence, "sequence", codes.FailedPrecondition},
		{ErrSubmissionTaken, "submission-taken", codes.AlreadyExists},
		{ErrExecutorTaken, "executor-taken", codes.AlreadyExists},
		{ErrNoBinary, "no-binary", codes.NotFound},
		{ErrBinary, "binary", codes.InvalidArgument},
		{ErrVersion, "version", codes.InvalidArgument},
		{ErrNotReady, "not-ready", codes.Unavailable},
		{ErrOtherCluster, "other-cluster", codes.PermissionDenied},
		{ErrUnauthenticated, "unauthenticated", codes.Unauthenticated},
		{ErrTooLarge, "too-large", codes.ResourceExhausted},
		{ErrFormat, "format", codes.Unimplemented},
		{ErrMalformed, "malformed", codes.InvalidArgument},
		{ErrInvalid, "invalid", codes.InvalidArgument},
	}
}

// toStatus turns a method's error into gRPC's, and into trailers.
func toStatus(err error) (metadata.MD, error) {
	if err == nil {
		return nil, nil
	}
	for _, k := range errorKinds() {
		if !errors.Is(err, k.err) {
			continue
		}
		md := metadata.Pairs(errorTrailer, k.name)
		if nl, ok := errors.AsType[*NotLeaderError](err); ok {
			md.Set(leaderTrailer, nl.Leader)
		}
		return md, status.Error(k.code, clip(err.Error()))
	}
	switch {
	case errors.Is(err, context.Canceled):
		return nil, status.Error(codes.Canceled, clip(err.Error()))
	case errors.Is(err, context.DeadlineExceeded):
		return nil, status.Error(codes.DeadlineExceeded, clip(err.Error()))
	}
	if _, ok := status.FromError(err); ok {
		return nil, err
	}
	return nil, status.Error(codes.Internal, clip(err.Error()))
}

// cutMark ends a text that was cut.
const cutMark = " … (cut)"

// Clip returns a text of at most limit bytes: what is more is cut, and what is no
// text in UTF-8 replaced. It does nothing to what it returned.
func Clip(s string, limit int) string {
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:max(0, limit-len(cutMark))], "") + cutMark
	}
	return strings.ToValidUTF8(s, "?")
}

// clip bounds an error's text.
func clip(s string) string { return Clip(s, maxErrorText) }

// fromStatus turns gRPC's error and trailers back into the method's error. gRPC's
// own errors stay as they are.
func fromStatus(err error, trailer metadata.MD) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	name := trailer.Get(errorTrailer)
	if len(name) != 1 {
		return err
	}
	for _, k := range errorKinds() {
		if k.name != name[0] {
			continue
		}
		if leader := trailer.Get(leaderTrailer); k.err == ErrNotLeader && len(leader) == 1 {
			return &NotLeaderError{Leader: leader[0]}
		}
		return &RemoteError{Message: status.Convert(err).Message(), Kind: k.err}
	}
	return err
}

// ServerOptions make a gRPC server speak the messages of this package.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(Codec{}),
		grpc.ChainUnaryInterceptor(serverUnary),
		grpc.ChainStreamInterceptor(serverStream),
		grpc.MaxRecvMsgSize(MaxMessage),
		grpc.MaxSendMsgSize(MaxMessage),
	}
}

// DialOptions make a gRPC client speak them.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(Codec{}), grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		grpc.WithUnaryInterceptor(clientUnary),
		grpc.WithStreamInterceptor(clientStream),
	}
}

// clientUnary restores the identity of errors.
func clientUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	var trailer metadata.MD
	err := invoke(ctx, method, req, reply, cc, append(opts, grpc.Trailer(&trailer))...)
	return fromStatus(err, trailer)
}

// clientStream restores the identity of errors.
func clientStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := stream(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, err
	}
	return &erringClientStream{s}, nil
}

// erringClientStream is a stream whose errors keep their identity.
type erringClientStream struct{ grpc.ClientStream }

func (s *erringClientStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return fromStatus(err, s.Trailer())
}

// serverUnary sends the identity of errors.
func serverUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	resp, err := next(ctx, req)
	trailer, err := toStatus(err)
	if trailer != nil {
		if terr := grpc.SetTrailer(ctx, trailer); terr != nil {
			return nil, status.Error(codes.Internal, terr.Error())
		}
	}
	return resp, err
}

// serverStream sends the identity of errors.
func serverStream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	trailer, err := toStatus(next(srv, ss))
	if trailer != nil {
		ss.SetTrailer(trailer)
	}
	return err
}

// Transient reports whether a call may succeed when it is made again, to
// whoever leads then: the process asked doesn't lead, is gone or isn't ready.
func Transient(err error) bool {
	if errors.Is(err, ErrNotLeader) || errors.Is(err, ErrNoLeader) || errors.Is(err, ErrNotReady) || errors.Is(err, ErrUnknownOutcome) {
		return true
	}
	if errors.Is(err, ErrUnauthenticated) {
		return false
	}
	return status.Code(err) == codes.Unavailable
}
