package raftgroup

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/control/state"
	"github.com/hibana-engine/hibana/engine/rpc/rpctest"
	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/security/securitytest"
	"github.com/hibana-engine/hibana/engine/wire"
)

// openListener returns a listener that is open until the test ends. Raft's connections
// are accepted and left alone.
func openListener(t *testing.T, l net.Listener, s security.Security, r *roster) *listener {
	t.Helper()
	d := newListener(l, s, r, slog.New(slog.DiscardHandler))
	d.start(func(err error) { t.Error(err) })
	var running sync.WaitGroup
	running.Go(func() {
		for {
			if _, err := d.raft.Accept(); err != nil {
				return
			}
		}
	})
	t.Cleanup(func() { _ = d.close(); running.Wait() })
	return d
}

// A listener knows a's and b's directories; c is in the list and was never there.
func TestGreetingIsJudged(t *testing.T) {
	l, lb := rpctest.Listen(t), rpctest.Listen(t)
	s := securitytest.Token()
	p := Peers{"a": l.Addr().String(), "b": lb.Addr().String(), "c": "127.0.0.1:1"}
	a := newRoster(p, introduction{copy: "copy-a", start: "1", node: "a"})
	a.learn("one", map[string]state.Admission{"a": {Copy: "copy-a", Index: 3}, "b": {Copy: "copy-b", Index: 4}})
	openListener(t, l, s, a)
	b := newRoster(p, introduction{copy: "copy-b", start: "up", node: "b"})
	openListener(t, lb, s, b)
	tests := []struct {
		name     string
		security security.Security
		cluster  string
		copy     string
		admitted uint64
		start    string
		node     string
		want     error
		says     string
	}{
		{"a peer", s, "one", "copy-b", 4, "up", "b", nil, ""},
		{"one that has forgotten the cluster", s, "", "copy-b", 0, "up", "b", nil, ""},
		{"another process with a copy of its directory", s, "one", "copy-b", 4, "copied", "b", ErrTwice, `another "b"`},
		{"another directory", s, "", "copy-x", 0, "up", "b", ErrOtherCopy, "--replace"},
		{"one that was replaced", s, "one", "copy-x", 2, "up", "b", ErrOtherCopy, "--replace"},
		{"one that was admitted since", s, "one", "copy-x", 9, "up", "b", nil, ""},
		{"a new one", s, "", "copy-c", 0, "up", "c", nil, ""},
		{"our id", s, "one", "copy-x", 0, "x", "a", ErrOtherCopy, `driver "a"`},
		{"our id and a copy of our directory", s, "one", "copy-a", 3, "x", "a", ErrTwice, `another "a"`},
		{"not in the list", s, "one", "copy-z", 0, "z", "z", ErrPeers, `without "z"`},
		{"of another cluster", s, "two", "copy-c", 0, "up", "c", wire.ErrOtherCluster, "data directories"},
		{"with another token", securitytest.Token(), "one", "copy-c", 0, "up", "c", wire.ErrUnauthenticated, "token"},
		{"without a token", security.Security{}, "one", "copy-c", 0, "up", "c", wire.ErrInsecure, "token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRoster(p, introduction{copy: tt.copy, start: tt.start, node: tt.node})
			r.learn(tt.cluster, nil)
			if tt.admitted > 0 {
				r.learn(tt.cluster, map[string]state.Admission{tt.node: {Copy: tt.copy, Index: tt.admitted}})
			}
			d := newListener(l, tt.security, r, slog.New(slog.DiscardHandler))
			conn, err := d.Dial(raft.ServerAddress(l.Addr().String()), 5*time.Second)
			if conn != nil {
				defer conn.Close()
			}
			if !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v doesn't say %q", err, tt.says)
			}
		})
	}
}

// Whoever dials judges too: the one that answers may have lost its directory.
func TestAnswerIsJudged(t *testing.T) {
	l := rpctest.Listen(t)
	s := securitytest.Token()
	p := Peers{"a": l.Addr().String(), "b": "127.0.0.1:1"}
	there := newRoster(p, introduction{copy: "new", start: "1", node: "a"})
	openListener(t, l, s, there)
	for _, tt := range []struct {
		name  string
		known string
		peers Peers
		want  error
		says  string
	}{
		{"as before", "new", p, nil, ""},
		{"never met", "", p, nil, ""},
		{"another directory", "old", p, ErrPeers, "--replace"},
		{"another driver", "", Peers{"c": l.Addr().String(), "a": "127.0.0.1:2", "b": "127.0.0.1:1"}, ErrPeers, `not "c"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRoster(tt.peers, introduction{copy: "b", start: "1", node: "b"})
			if tt.known != "" {
				r.learn("one", map[string]state.Admission{"a": {Copy: tt.known, Index: 5}})
			}
			d := newListener(l, s, r, slog.New(slog.DiscardHandler))
			conn, err := d.Dial(raft.ServerAddress(l.Addr().String()), 5*time.Second)
			if conn != nil {
				defer conn.Close()
			}
			if !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("got %v, want %v that says %q", err, tt.want, tt.says)
			}
			if met := r.present()["a"]; (met == "new") != (tt.want == nil) {
				t.Errorf("met %q", met)
			}
		})
	}
}

// The process at a driver's address ends the connections of one that was there
// from elsewhere before.
func TestTheOneAtTheAddressStays(t *testing.T) {
	l, lb := rpctest.Listen(t), rpctest.Listen(t)
	s := securitytest.Token()
	p := Peers{"a": l.Addr().String(), "b": lb.Addr().String()}
	addressOfB := lb.Addr().String()
	_ = lb.Close() // b isn't up
	openListener(t, l, s, newRoster(p, introduction{copy: "a", start: "1", node: "a"}))
	dial := func(start string) (net.Conn, error) {
		d := newListener(l, s, newRoster(p, introduction{copy: "b", start: start, node: "b"}), slog.New(slog.DiscardHandler))
		return d.Dial(raft.ServerAddress(l.Addr().String()), 5*time.Second)
	}
	elsewhere, err := dial("elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	lb, err = net.Listen("tcp", addressOfB)
	if err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	openListener(t, lb, s, newRoster(p, introduction{copy: "b", start: "here", node: "b"}))
	here, err := dial("here")
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	_ = elsewhere.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := elsewhere.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the other one's connection is still open: %v", err)
	}
	if again, err := dial("elsewhere"); !errors.Is(err, ErrTwice) {
		t.Errorf("the other one again: %v, %v", again, err)
	}
}

// A node that is refused for a reason that stays needn't hear it from everybody.
func TestRefusalsEndANode(t *testing.T) {
	down := errors.New("connection refused")
	for name, tt := range map[string]struct {
		dialed map[string]error
		want   error
	}{
		"nothing is known":       {nil, nil},
		"one answers":            {map[string]error{"b": nil, "c": wire.ErrUnauthenticated}, nil},
		"one is down":            {map[string]error{"b": down, "c": wire.ErrUnauthenticated}, nil},
		"all refuse":             {map[string]error{"b": wire.ErrOtherCluster, "c": wire.ErrOtherCluster}, wire.ErrOtherCluster},
		"one knows another copy": {map[string]error{"b": down, "c": ErrOtherCopy}, ErrOtherCopy},
		"one knows another":      {map[string]error{"b": ErrTwice, "c": nil}, ErrTwice},
	} {
		t.Run(name, func(t *testing.T) {
			d := &dialer{dialed: tt.dialed}
			if err := d.refused([]string{"b", "c"}); !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

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

// Too many open files, and what else passes by itself, don't end a listener.
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
				d := newListener(&failingListener{errs: tt.errs}, securitytest.Token(), newRoster(nil, introduction{}), slog.New(slog.DiscardHandler))
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
	l := rpctest.Listen(t)
	s := securitytest.Token()
	p := Peers{"a": l.Addr().String(), "b": "127.0.0.1:1"}
	openListener(t, l, s, newRoster(p, introduction{copy: "copy-a", start: "1", node: "a"}))
	var silent []net.Conn
	for range maxGreeting {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		silent = append(silent, conn)
	}
	peer := newListener(l, s, newRoster(p, introduction{copy: "copy-b", start: "1", node: "b"}), slog.New(slog.DiscardHandler))
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
