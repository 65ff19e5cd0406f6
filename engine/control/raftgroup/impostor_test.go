package raftgroup

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/hibana-engine/hibana/engine/security/securitytest"

	"github.com/hashicorp/raft"
)

// Another user who listens on the port of a driver that is dead isn't
// greeted by the others.
func TestImpostorIsntGreeted(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan []byte, 1)
	go func() { // ends when the listener has given up
		defer close(heard)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		b := make([]byte, len(greetingMagic)) // what tells Raft's greeting from others
		n, _ := io.ReadFull(conn, b)
		heard <- b[:n]
	}()
	r := newRoster(Peers{"b": l.Addr().String()}, introduction{copy: "copy-a", start: "1", node: "a"})
	d := newListener(l, securitytest.Token(), r, slog.New(slog.DiscardHandler))
	if conn, err := d.Dial(raft.ServerAddress(l.Addr().String()), 5*time.Second); err == nil {
		t.Error("it was joined")
		_ = conn.Close()
	}
	if b := <-heard; bytes.Equal(b, []byte(greetingMagic)) {
		t.Error("it was greeted")
	}
}
