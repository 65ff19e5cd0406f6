package control

import (
	"errors"
	"net"
	"sync"
)

// connListener is a listener whose connections come from elsewhere.
type connListener struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newConnListener(addr net.Addr) *connListener {
	return &connListener{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for the next connection.
func (l *connListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept return.
func (l *connListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns the address that the connections came to.
func (l *connListener) Addr() net.Addr { return l.addr }

// leavingConn tells when it is closed.
type leavingConn struct {
	net.Conn
	leave func()
}

func (c *leavingConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// openConns are connections that can all be closed from outside, after which no
// other is taken.
type openConns struct {
	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

// add takes a connection. It is forgotten when it is closed.
func (o *openConns) add(c net.Conn) (net.Conn, error) {
	if !o.keep(c) {
		return nil, errors.Join(net.ErrClosed, c.Close())
	}
	return &leavingConn{Conn: c, leave: func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.conns, c)
	}}, nil
}

// keep notes a connection, unless all were closed.
func (o *openConns) keep(c net.Conn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	if o.conns == nil {
		o.conns = make(map[net.Conn]bool)
	}
	o.conns[c] = true
	return true
}

// close closes the connections.
func (o *openConns) close() {
	o.mu.Lock()
	all := o.conns
	o.conns, o.closed = nil, true
	o.mu.Unlock()
	for c := range all {
		_ = c.Close() // it may be closed
	}
}
