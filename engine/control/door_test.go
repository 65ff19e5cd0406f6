package control

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// failingListener fails to accept with each of some errors, then is closed.
type failingListener struct {
	net.Listener
	errs []error
}

func (l *failingListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *failingListener) Accept() (net.Conn, error) {
	if len(l.errs) == 0 {
		return nil, net.ErrClosed
	}
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}

// Too many open files, and what else passes by itself, don't end a door.
func TestDoorOutlivesWhatPasses(t *testing.T) {
	accept := func(err error) error {
		return &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
	}
	many := make([]error, 12)
	for i := range many {
		many[i] = accept(syscall.EMFILE)
	}
	for _, tt := range []struct {
		name  string
		errs  []error
		want  error
		after time.Duration
	}{
		{"nothing", nil, nil, 0},
		{"too many open files", []error{accept(syscall.EMFILE)}, nil, firstAcceptPause},
		{"too many in the system", []error{accept(syscall.ENFILE), accept(syscall.ECONNABORTED)}, nil, 3 * firstAcceptPause},
		{"for long", many, nil, 255*firstAcceptPause + 4*lastAcceptPause},
		{"a broken listener", []error{accept(syscall.EMFILE), accept(syscall.EINVAL)}, syscall.EINVAL, firstAcceptPause},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				d := newDoor(&failingListener{errs: tt.errs}, token(), "a", "copy", slog.New(slog.DiscardHandler))
				if err := d.run(); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
					t.Errorf("it ended with %v, want %v", err, tt.want)
				}
				if took := time.Since(began); took != tt.after {
					t.Errorf("after %s, want %s", took, tt.after)
				}
			})
		})
	}
}

// Connections that say nothing keep nobody out: the oldest make room.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, log := token(), slog.New(slog.DiscardHandler)
	d := newDoor(l, s, "a", "copy-a", log)
	var running sync.WaitGroup
	running.Go(func() { _ = d.run() })
	defer func() { _ = d.close(); running.Wait() }()
	var silent []net.Conn
	for range maxGreeting {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		silent = append(silent, conn)
	}
	running.Go(func() { _, _ = d.raft.Accept() })
	peer := newDoor(l, s, "b", "copy-b", log)
	began := time.Now()
	conn, err := peer.Dial(raft.ServerAddress(l.Addr().String()), greetTimeout)
	if err != nil {
		t.Fatalf("a peer: %v", err)
	}
	defer conn.Close()
	if took := time.Since(began); took > greetTimeout/2 {
		t.Errorf("a peer is let in after %s", took)
	}
	if err := silent[0].SetReadDeadline(began.Add(greetTimeout / 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := silent[0].Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) || err == nil || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the oldest: %v", err)
	}
}
