package raftgroup

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
)

// A node listens on one address for gRPC and for Raft. The protocol that a client
// asks for in TLS's handshake tells them apart. Raft begins with a greeting
// (greeting.go).

// Pauses after an error of accepting that may pass, such as too many open files:
// the first, doubled for each that follows, and the longest.
const (
	firstAcceptPause = 5 * time.Millisecond
	lastAcceptPause  = time.Second
)

// listener accepts a node's connections and hands them to gRPC or to Raft. With its
// dialer it is Raft's stream layer.
//
// THREADING: run accepts, in a goroutine of its own; so has each connection's
// greeting. close ends them all and waits.
type listener struct {
	*dialer
	listener  net.Listener
	log       *slog.Logger
	raft      *connListener
	grpc      *connListener
	waiting   handshakes
	accepting sync.WaitGroup
	work      sync.WaitGroup // of connections on their way in
}

func newListener(l net.Listener, s security.Security, r *roster, log *slog.Logger) *listener {
	return &listener{
		dialer: newDialer(s, r), listener: l, log: log, raft: newConnListener(l.Addr()), grpc: newConnListener(l.Addr()),
	}
}

// ClusterID returns the cluster's id, "" until it is known.
func (d *listener) clusterID() string { return d.roster.clusterID() }

// Listen opens a node's listener.
func Listen(ctx context.Context, address, id string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%w; another process, perhaps a second driver %q, has the port", err, id)
	}
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	return l, nil
}

// start accepts connections until the listener is closed. failed is called if that
// can't go on.
func (d *listener) start(failed func(error)) {
	d.accepting.Go(func() {
		if err := d.run(); err != nil {
			failed(err)
		}
	})
}

// run accepts connections until the listener is closed.
func (d *listener) run() error {
	for pause := firstAcceptPause; ; {
		conn, err := d.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if passes(err) {
			d.log.Error("accepting connections", "address", d.listener.Addr(), "again in", pause, "err", err)
			time.Sleep(pause) // a listener that is closed meanwhile ends so much later
			pause = min(2*pause, lastAcceptPause)
			continue
		}
		if err != nil {
			return fmt.Errorf("accepting connections on %s: %w", d.listener.Addr(), err)
		}
		pause = firstAcceptPause
		d.waiting.add(conn)
		d.work.Go(func() {
			defer d.waiting.leave(conn)
			if err := d.route(conn); err != nil {
				_ = conn.Close() // it may be closed
				d.log.Debug("connection refused", "from", conn.RemoteAddr(), "err", err)
			}
		})
	}
}

// passes reports whether an error of accepting may be over in a moment.
func passes(err error) bool {
	return slices.ContainsFunc([]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED}, func(e error) bool {
		return errors.Is(err, e)
	})
}

// close closes the listener, the connections on their way in and Raft's.
func (d *listener) close() error {
	err := d.listener.Close()
	d.accepting.Wait()
	d.raft.Close()
	d.grpc.Close()
	d.work.Wait()
	d.sever()
	return err
}

// route finds out what a connection is for and hands it over.
func (d *listener) route(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(greetTimeout)); err != nil {
		return err
	}
	secured := tls.Server(conn, d.security.TLS(rpc.GRPCProtocol, raftProtocol))
	if err := secured.Handshake(); err != nil {
		return err
	}
	if secured.ConnectionState().NegotiatedProtocol != raftProtocol {
		return d.handOver(d.grpc, secured)
	}
	return d.routeRaft(secured)
}

// routeRaft reads a greeting and answers it.
func (d *listener) routeRaft(conn net.Conn) error {
	b := make([]byte, greetingLen)
	if _, err := io.ReadFull(conn, b); err != nil {
		return err
	}
	g, err := parseGreeting(b)
	if err != nil {
		return err
	}
	a := answer{verdict: d.judge(&g), introduction: d.roster.introduce()}
	stays := a.verdict == welcome && g.purpose == forRaft
	if stays { // before the other side knows, so that drop finds it
		if conn, err = d.conns.track(conn, g.introduction); err != nil {
			return err
		}
	}
	_, err = conn.Write(a.append(nil))
	switch {
	case err != nil:
	case a.verdict != welcome:
		err = a.refusal(g.node, d.listener.Addr().String())
	case stays:
		err = d.handOver(d.raft, conn)
	}
	if err != nil || !stays {
		err = errors.Join(err, conn.Close())
	}
	return err
}

// judge decides on a greeting. A node that comes is asked for at its address: who
// is another process there came from elsewhere, with a copy of the directory or
// before the group knew whose is which.
func (d *listener) judge(g *greeting) byte {
	if v := d.roster.judge(g.introduction); v != welcome || g.purpose == forName || d.roster.isVerified(g.introduction) {
		return v
	}
	there, err := d.ask(g.node)
	switch {
	case err != nil || there.node != g.node:
		return welcome // nobody else claims to be this node
	case there.start != g.start:
		return twice
	}
	d.roster.verify(g.introduction)
	d.conns.drop(func(i introduction) bool { return i.node == g.node && i.start != g.start })
	return welcome
}

// dropRefused closes the connections of nodes that the roster turns away now.
func (d *listener) dropRefused() {
	d.conns.drop(func(i introduction) bool { return d.roster.judge(i) != welcome })
}

// sever closes the listener and all of Raft's connections, so that the other nodes
// hear nothing more of this one.
func (d *listener) sever() {
	_ = d.listener.Close() // it may be closed
	d.conns.sever()
}

// handOver gives a connection to a listener.
func (d *listener) handOver(l *connListener, conn net.Conn) error {
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	select {
	case l.conns <- conn:
		return nil
	case <-l.closed:
		return net.ErrClosed
	}
}

// Accept returns Raft's next connection.
func (d *listener) Accept() (net.Conn, error) { return d.raft.Accept() }

// Close closes the listener for Raft.
func (d *listener) Close() error { return d.raft.Close() }

// Addr returns the address that is listened on.
func (d *listener) Addr() net.Addr { return d.listener.Addr() }
