package wire

import (
	"context"
	"time"

	"google.golang.org/grpc"
)

// Times that services agree on.
const (
	// HeartbeatInterval is how often daemons say that they are alive.
	HeartbeatInterval = 500 * time.Millisecond
	// CallTimeout bounds a call that waits for nothing but the other process.
	CallTimeout = 10 * time.Second
)

// The generic pieces from which the services are put together. S is a service's
// server interface.

// Unary describes a method with one request and one answer.
func Unary[S, Req, Resp any](name string, call func(S, context.Context, *Req) (*Resp, error)) grpc.MethodDesc {
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			// Interceptors see no request: whoever isn't let in isn't decoded.
			next := func(ctx context.Context, _ any) (any, error) {
				req := new(Req)
				if err := decode(req); err != nil {
					return nil, err
				}
				return call(srv.(S), ctx, req)
			}
			if intercept == nil {
				return next(ctx, nil)
			}
			return intercept(ctx, nil, &grpc.UnaryServerInfo{Server: srv, FullMethod: name}, next)
		},
	}
}

// Downstream describes a method with one request and a stream of answers.
func Downstream[S, Req, Resp any](name string, call func(S, *Req, grpc.ServerStreamingServer[Resp]) error) grpc.StreamDesc {
	return grpc.StreamDesc{
		StreamName:    name,
		ServerStreams: true,
		Handler: func(srv any, ss grpc.ServerStream) error {
			req := new(Req)
			if err := ss.RecvMsg(req); err != nil {
				return err
			}
			return call(srv.(S), req, &grpc.GenericServerStream[Req, Resp]{ServerStream: ss})
		},
	}
}

// Bidi describes a method with streams both ways.
func Bidi[S, Req, Resp any](name string, call func(S, grpc.BidiStreamingServer[Req, Resp]) error) grpc.StreamDesc {
	return grpc.StreamDesc{
		StreamName:    name,
		ServerStreams: true,
		ClientStreams: true,
		Handler: func(srv any, ss grpc.ServerStream) error {
			return call(srv.(S), &grpc.GenericServerStream[Req, Resp]{ServerStream: ss})
		},
	}
}

// Service describes a service; handler is a nil pointer to its server interface.
func Service(name string, handler any, methods []grpc.MethodDesc, streams ...grpc.StreamDesc) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{ServiceName: "hibana." + name, HandlerType: handler, Methods: methods, Streams: streams}
}

// Call calls a method with one request and one answer.
func Call[Req, Resp any](ctx context.Context, cc grpc.ClientConnInterface, method string, req *Req) (*Resp, error) {
	resp := new(Resp)
	if err := cc.Invoke(ctx, "/hibana."+method, req, resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// OpenDownstream calls a method with a stream of answers.
func OpenDownstream[Req, Resp any](ctx context.Context, cc grpc.ClientConnInterface, method string, req *Req) (grpc.ServerStreamingClient[Resp], error) {
	s, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/hibana."+method)
	if err != nil {
		return nil, err
	}
	x := &grpc.GenericClientStream[Req, Resp]{ClientStream: s}
	if err := s.SendMsg(req); err != nil {
		return nil, err
	}
	return x, s.CloseSend()
}

// OpenBidi calls a method with streams both ways.
func OpenBidi[Req, Resp any](ctx context.Context, cc grpc.ClientConnInterface, method string) (grpc.BidiStreamingClient[Req, Resp], error) {
	s, err := cc.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/hibana."+method)
	if err != nil {
		return nil, err
	}
	return &grpc.GenericClientStream[Req, Resp]{ClientStream: s}, nil
}
