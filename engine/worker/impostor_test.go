package worker_test

import (
	"net"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
)

// knocks is a listener that tells of connections.
type knocks struct {
	net.Listener
	came chan struct{}
}

func (k knocks) Accept() (net.Conn, error) {
	c, err := k.Listener.Accept()
	if err == nil {
		select {
		case k.came <- struct{}{}:
		default:
		}
	}
	return c, err
}

// A daemon that has followed a leader knows that its token is right: it isn't put
// off by another process on the port of one that is dead.
func TestImpostorEndsNoDaemon(t *testing.T) {
	l, job := newLeader(t)
	stop := start(t, l.config(t))
	f, _ := l.next(t)
	f.assign(job)
	pid(t, f.report())
	l.stop()
	port, err := net.Listen("tcp", l.address)
	if err != nil {
		t.Fatal(err)
	}
	came := make(chan struct{})
	impostor := rpc.NewServer(security.Security{}.WithToken(security.NewToken()))
	done := make(chan struct{})
	go func() { defer close(done); _ = impostor.Serve(knocks{port, came}) }()
	defer func() { impostor.Stop(); <-done }()
	for range 3 {
		select {
		case <-came:
		case <-time.After(patience):
			t.Fatal("the daemon doesn't try again: ", stop())
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
