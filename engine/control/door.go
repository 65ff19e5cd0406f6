package control

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

	"github.com/hashicorp/raft"

	"github.com/hibana-engine/hibana/engine/wire"
)

// A node listens on one address for gRPC and for Raft. The protocol that a client
// asks for in TLS's handshake tells them apart. Raft begins with a greeting.
//
// The greeting has a fixed length: raftMagic, then the sender's cluster, copy of
// its data directory (hexadecimal; zeros for what isn't known) and node id, padded
// with zeros. The answer is one byte.
const (
	raftProtocol = "hibana-raft"
	raftMagic    = "HBR2"
	idLen        = 32
	nodeLen      = 64
	greetingLen  = len(raftMagic) + 2*idLen + nodeLen
)

// Answers to a greeting.
const (
	welcome      byte = 'K'
	otherCluster byte = 'C'
	otherCopy    byte = 'D'
)

// Pauses after an error of accepting that may pass, such as too many open files:
// the first, doubled for each that follows, and the longest.
const (
	firstAcceptPause = 5 * time.Millisecond
	lastAcceptPause  = time.Second
)

// door accepts a node's connections and hands them to gRPC or to Raft.
//
// THREADING: run accepts; each connection's greeting has a goroutine of its own.
// close ends them all and waits.
type door struct {
	listener net.Listener
	security wire.Security
	log      *slog.Logger
	self     greeting
	raft     *connListener
	grpc     *connListener
	open     openConns // Raft's, in both directions
	waiting  strangers
	work     sync.WaitGroup

	mu      sync.Mutex
	cluster string               // "" until it is known
	copies  map[string]*peerCopy // by node id: who is connected as it
	dialed  map[string]error     // by address: what came of the last try
}

// peerCopy is the data directory that a connected node has.
type peerCopy struct {
	copy  string
	conns int
}

// greeting is what a node says of itself.
type greeting struct {
	copy, node string
}

func newDoor(l net.Listener, s wire.Security, node, copy string, log *slog.Logger) *door {
	d := &door{
		listener: l, security: s, log: log, self: greeting{copy, node},
		copies: make(map[string]*peerCopy), dialed: make(map[string]error),
	}
	d.raft, d.grpc = newConnListener(l.Addr()), newConnListener(l.Addr())
	return d
}

// setCluster tells the door the cluster's id, once it is known.
func (d *door) setCluster(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cluster = id
}

func (d *door) clusterID() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cluster
}

// run accepts connections until the door is closed.
func (d *door) run() error {
	for pause := firstAcceptPause; ; {
		conn, err := d.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if passes(err) {
			d.log.Error("accepting connections", "address", d.listener.Addr(), "again in", pause, "err", err)
			time.Sleep(pause) // a door that is closed meanwhile ends so much later
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
			if err := d.admit(conn); err != nil {
				_ = conn.Close()
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

// close closes the listener and the connections on their way in.
func (d *door) close() error {
	err := d.listener.Close()
	d.raft.Close()
	d.grpc.Close()
	d.work.Wait()
	return err
}

// admit finds out what a connection is for and hands it over.
func (d *door) admit(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(greetTimeout)); err != nil {
		return err
	}
	secured := tls.Server(conn, d.security.TLS(wire.GRPCProtocol, raftProtocol))
	if err := secured.Handshake(); err != nil {
		return err
	}
	if secured.ConnectionState().NegotiatedProtocol != raftProtocol {
		return d.handOver(d.grpc, secured)
	}
	return d.admitRaft(secured)
}

// admitRaft reads a greeting and answers it.
func (d *door) admitRaft(conn net.Conn) error {
	b := make([]byte, greetingLen)
	if _, err := io.ReadFull(conn, b); err != nil {
		return err
	}
	g, cluster, err := parseGreeting(b)
	if err != nil {
		return err
	}
	verdict, leave := d.judge(g, cluster)
	if _, err := conn.Write([]byte{verdict}); err != nil || verdict != welcome {
		leave()
		return errors.Join(err, refusal(verdict, g.node))
	}
	return d.handOver(d.raft, &leavingConn{Conn: conn, leave: leave})
}

// judge decides on a greeting. leave is called when the connection is closed.
func (d *door) judge(g greeting, cluster string) (verdict byte, leave func()) {
	none := func() {}
	d.mu.Lock()
	defer d.mu.Unlock()
	if cluster != "" && d.cluster != "" && cluster != d.cluster {
		return otherCluster, none
	}
	known := d.copies[g.node]
	if known == nil || known.conns == 0 {
		known = &peerCopy{copy: g.copy}
		d.copies[g.node] = known
	}
	if known.copy != g.copy || g.node == d.self.node && g.copy != d.self.copy {
		return otherCopy, none
	}
	known.conns++
	var once sync.Once
	return welcome, func() {
		once.Do(func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			known.conns--
		})
	}
}

// handOver gives a connection to a listener.
func (d *door) handOver(l *connListener, conn net.Conn) error {
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

// refusal says why a node was turned away.
func refusal(verdict byte, node string) error {
	switch verdict {
	case welcome:
		return nil
	case otherCluster:
		return fmt.Errorf("%w: one of the two data directories is of another cluster", wire.ErrOtherCluster)
	case otherCopy:
		return fmt.Errorf("%w: two drivers with different data directories call themselves %q", ErrPeers, node)
	}
	return fmt.Errorf("%w: it answers %#x", wire.ErrMalformed, verdict)
}

// appendGreeting encodes a greeting.
func appendGreeting(g greeting, cluster string) []byte {
	b := make([]byte, 0, greetingLen)
	b = append(b, raftMagic...)
	for _, f := range []struct {
		s string
		n int
	}{{cluster, idLen}, {g.copy, idLen}, {g.node, nodeLen}} {
		b = append(b, f.s...)
		b = append(b, make([]byte, f.n-len(f.s))...)
	}
	return b
}

// parseGreeting decodes greetingLen bytes.
func parseGreeting(b []byte) (g greeting, cluster string, err error) {
	if string(b[:len(raftMagic)]) != raftMagic {
		return g, "", fmt.Errorf("%w: greeting of an unknown protocol %q", wire.ErrFormat, b[:len(raftMagic)])
	}
	b = b[len(raftMagic):]
	field := func(n int) string {
		s := b[:n]
		b = b[n:]
		for len(s) > 0 && s[len(s)-1] == 0 {
			s = s[:len(s)-1]
		}
		return string(s)
	}
	cluster, g.copy, g.node = field(idLen), field(idLen), field(nodeLen)
	return g, cluster, nil
}

// sever closes the door and all of Raft's connections, so that the other nodes
// hear nothing more of this one.
func (d *door) sever() {
	_ = d.listener.Close() // it may be closed
	d.open.close()
}

// Accept, Close and Addr make the door Raft's stream layer.
func (d *door) Accept() (net.Conn, error) {
	conn, err := d.raft.Accept()
	if err != nil {
		return nil, err
	}
	return d.open.add(conn)
}

// Close closes the door for Raft.
func (d *door) Close() error { return d.raft.Close() }

// Addr returns the address that is listened on.
func (d *door) Addr() net.Addr { return d.listener.Addr() }

// Dial connects to another node's door, and remembers what came of it.
func (d *door) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	conn, err := d.dial(string(address), timeout)
	d.mu.Lock()
	d.dialed[string(address)] = err
	d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return d.open.add(conn)
}

// heard says what the nodes at some addresses answer, as far as was tried.
func (d *door) heard(addresses []string) (all []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range addresses {
		switch err, tried := d.dialed[a]; {
		case err != nil:
			all = append(all, err.Error())
		case tried:
			all = append(all, a+" answers")
		}
	}
	return all
}

// refusedByAll returns why all nodes at some addresses refuse this one, nil if
// one doesn't.
func (d *door) refusedByAll(addresses []string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var why error
	for _, a := range addresses {
		err := d.dialed[a]
		if !errors.Is(err, wire.ErrUnauthenticated) && !errors.Is(err, wire.ErrOtherCluster) && !errors.Is(err, ErrPeers) {
			return nil
		}
		why = err
	}
	return why
}

func (d *door) dial(address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := (&tls.Dialer{Config: d.security.TLS(raftProtocol)}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("joining the driver at %s: %w", address, err)
	}
	if err := d.greet(conn, time.Now().Add(timeout)); err != nil {
		return nil, errors.Join(fmt.Errorf("joining the driver at %s: %w", address, err), conn.Close())
	}
	return conn, nil
}

// greet says who we are and waits for the answer.
func (d *door) greet(conn net.Conn, deadline time.Time) error {
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write(appendGreeting(d.self, d.clusterID())); err != nil {
		return err
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if err := refusal(answer[0], d.self.node); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}
