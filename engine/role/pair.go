package role

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"google.golang.org/grpc"
)

// SocketPair returns the two ends of the connection between a daemon and a
// process it is about to start: the daemon's, to serve with ServeConn, and the
// file to give to the process as its first extra file. The caller closes both.
func SocketPair() (daemon net.Conn, process *os.File, err error) {
	fds, err := socketpair()
	if err != nil {
		return nil, nil, fmt.Errorf("making a socket pair: %w", err)
	}
	process = os.NewFile(uintptr(fds[1]), "process")
	f := os.NewFile(uintptr(fds[0]), "daemon")
	daemon, err = net.FileConn(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("making a socket pair: %w", err), process.Close())
	}
	return daemon, process, nil
}

// ServeConn serves one connection, a SocketPair's, until it breaks or the server
// is stopped. It closes the connection.
func ServeConn(s *grpc.Server, conn net.Conn) {
	l := &oneConn{addr: conn.LocalAddr(), conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conns <- &closingConn{Conn: conn, closed: l.close}
	_ = s.Serve(l) // it ends with the listener, which ends with the connection
	l.close()
	s.Stop()
	_ = conn.Close()
}

// oneConn is a listener that accepts one connection.
type oneConn struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error   { l.close(); return nil }
func (l *oneConn) Addr() net.Addr { return l.addr }
func (l *oneConn) close()         { l.once.Do(func() { close(l.closed) }) }

// closingConn calls closed when it is closed.
type closingConn struct {
	net.Conn
	closed func()
}

func (c *closingConn) Close() error {
	c.closed()
	return c.Conn.Close()
}
