package role

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/rpc/rpctest"
	"github.com/hibana-engine/hibana/engine/wire"
)

// pair serves the echo service at one end of a socket pair and returns a Parent
// at the other.
func pair(t *testing.T) (p *Parent, daemon net.Conn, stop func()) {
	t.Helper()
	daemon, file, err := SocketPair()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	if p, err = NewParent(conn); err != nil {
		t.Fatal(err)
	}
	server := rpc.NewPairServer(20 * time.Second)
	rpctest.Echo(server)
	done := make(chan struct{})
	go func() { defer close(done); ServeConn(server, daemon) }()
	t.Cleanup(func() {
		server.Stop()
		_ = p.Close()
		<-done
	})
	return p, daemon, server.Stop
}

func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatal(what)
	}
}

// A process calls the daemon over the pair; either sees the other's end.
func TestParent(t *testing.T) {
	for name, end := range map[string]func(p *Parent, daemon net.Conn, stop func()){
		"the daemon stops the server": func(_ *Parent, _ net.Conn, stop func()) { stop() },
		"the daemon dies":             func(_ *Parent, daemon net.Conn, _ func()) { _ = daemon.Close() },
		"the process closes":          func(p *Parent, _ net.Conn, _ func()) { _ = p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			p, daemon, stop := pair(t)
			if err := rpctest.Attach(p.CC); err != nil {
				t.Fatal(err)
			}
			select {
			case <-p.Gone():
				t.Fatal("gone before the end")
			default:
			}
			end(p, daemon, stop)
			await(t, "the process isn't told", p.Gone())
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if _, err := (wire.WorkerClient{CC: p.CC}).Attach(ctx, &wire.AttachExecutor{}); err == nil || ctx.Err() != nil {
				t.Errorf("a call afterwards: %v", err)
			}
		})
	}
}
