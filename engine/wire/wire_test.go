package wire

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
)

// serve runs a server with the given doors on a free port of loopback until the
// test ends, and returns its address.
func serve(t *testing.T, s Security, register func(grpc.ServiceRegistrar)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(s)
	register(server)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-done })
	return l.Addr().String()
}

// dial connects to an address until the test ends.
func dial(t *testing.T, address string, s Security) *grpc.ClientConn {
	t.Helper()
	cc, err := Dial(address, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

// withToken is a Security with a random token.
func withToken() Security { return Security{}.WithToken(NewToken()) }

// workers is a Worker service that answers with what it was made of.
type workers struct {
	attach func(*AttachExecutor) (*ExecutorSpec, error)
}

func (w workers) Attach(_ context.Context, req *AttachExecutor) (*ExecutorSpec, error) {
	return w.attach(req)
}

func (w workers) Ready(context.Context, *ReadyRequest) (*ReadyAnswer, error) {
	return &ReadyAnswer{}, nil
}

// echo is a Worker service that answers Attach with the name it was given.
func echo(r grpc.ServiceRegistrar) {
	RegisterWorker(r, workers{func(req *AttachExecutor) (*ExecutorSpec, error) {
		return &ExecutorSpec{Executor: req.Name}, nil
	}})
}
