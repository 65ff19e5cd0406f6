// Package rpctest holds what tests of connections have in common: a server, a client
// and a service that echoes.
package rpctest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// Serve runs a server that demands s, on a free port of loopback until the
// test ends, and returns its address.
func Serve(t *testing.T, s security.Security, register func(grpc.ServiceRegistrar)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := rpc.NewServer(s)
	register(server)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-done })
	return l.Addr().String()
}

// Dial connects to an address until the test ends.
func Dial(t *testing.T, address string, s security.Security) *grpc.ClientConn {
	t.Helper()
	cc, err := rpc.Dial(address, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

// workers is a Worker service that answers with what it was made of.
type workers struct {
	attach func(*wire.AttachExecutor) (*wire.ExecutorSpec, error)
}

func (w workers) Attach(_ context.Context, req *wire.AttachExecutor) (*wire.ExecutorSpec, error) {
	return w.attach(req)
}

func (w workers) Ready(context.Context, *wire.ReadyRequest) (*wire.ReadyAnswer, error) {
	return &wire.ReadyAnswer{}, nil
}

// Echo is a Worker service that answers Attach with the name it was given.
func Echo(r grpc.ServiceRegistrar) {
	wire.RegisterWorker(r, workers{func(req *wire.AttachExecutor) (*wire.ExecutorSpec, error) {
		return &wire.ExecutorSpec{Executor: req.Name}, nil
	}})
}

// Attach calls the echo service.
func Attach(cc grpc.ClientConnInterface) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err := wire.WorkerClient{CC: cc}.Attach(ctx, &wire.AttachExecutor{Name: "me"})
	return err
}

// Listen opens a listener on a free port of loopback, below those of outgoing
// connections: one of them could take it while the listener is closed for a while.
func Listen(t testing.TB) net.Listener {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000)))
		if err == nil {
			t.Cleanup(func() { _ = l.Close() })
			return l
		}
	}
	t.Fatal("no port is free")
	return nil
}
