package raftgroup

import (
	"crypto/tls"
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

// openConns are Raft's connections, and with whom. It is safe for concurrent use.
type openConns struct {
	mu      sync.Mutex
	open    map[*trackedConn]introduction
	severed bool // no others are taken
}

func newOpenConns() *openConns { return &openConns{open: make(map[*trackedConn]introduction)} }

// track remembers a connection until it is closed, and closes one that comes too
// late.
func (o *openConns) track(conn net.Conn, i introduction) (net.Conn, error) {
	t := &trackedConn{Conn: conn, conns: o}
	o.mu.Lock()
	late := o.severed
	if !late {
		o.open[t] = i
	}
	o.mu.Unlock()
	if late {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	return t, nil
}

// drop closes the connections of some nodes.
func (o *openConns) drop(of func(introduction) bool) {
	var all []*trackedConn
	o.mu.Lock()
	for conn, i := range o.open {
		if of(i) {
			all = append(all, conn)
		}
	}
	o.mu.Unlock()
	for _, conn := range all {
		conn.cut()
	}
}

// dropAll closes all of Raft's connections.
func (o *openConns) dropAll() { o.drop(func(introduction) bool { return true }) }

// sever closes all connections, and takes no others.
func (o *openConns) sever() {
	o.mu.Lock()
	o.severed = true
	o.mu.Unlock()
	o.dropAll()
}

// forget forgets a connection that is about to be closed.
func (o *openConns) forget(c *trackedConn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, c)
}

// trackedConn is a connection of Raft's that is among those that are open.
type trackedConn struct {
	net.Conn
	conns *openConns
}

// Close closes the connection, which is forgotten.
func (c *trackedConn) Close() error {
	c.conns.forget(c)
	return c.Conn.Close()
}

// cut closes the connection without a word: TLS's last one would wait for a node
// that hangs.
func (c *trackedConn) cut() {
	c.conns.forget(c)
	conn := c.Conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	_ = conn.Close() // its reader gets an error
}
