package raftgroup

import (
	"crypto/tls"
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

// trackedConn is a connection of Raft's that its listener knows of.
type trackedConn struct {
	net.Conn
	listener *listener
}

// Close closes the connection; the listener forgets it.
func (c *trackedConn) Close() error {
	c.forget()
	return c.Conn.Close()
}

// cut closes the connection without a word: TLS's last one would wait for a node
// that hangs.
func (c *trackedConn) cut() {
	c.forget()
	conn := c.Conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	_ = conn.Close() // its reader gets an error
}

func (c *trackedConn) forget() {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	delete(c.listener.open, c)
}
