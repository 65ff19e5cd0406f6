package raftgroup

import (
	"net"
	"slices"
	"sync"
	"time"
)

// Limits of connections that haven't said yet what they are for.
const (
	greetTimeout = 3 * time.Second
	maxGreeting  = 256
	// nameTimeout bounds asking who answers at a driver's address. It is well below
	// what the other side waits for an answer to its greeting.
	nameTimeout = time.Second
)

// handshakes are a listener's connections that haven't said yet what they are for. Of
// one too many the oldest is closed: a real client needs milliseconds, so that one that
// sends nothing keeps nobody out.
type handshakes struct {
	mu    sync.Mutex
	conns []net.Conn // the oldest first
}

// add takes a connection.
func (s *handshakes) add(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) >= maxGreeting {
		_ = s.conns[0].Close() // its reader gets an error
		s.conns = slices.Delete(s.conns, 0, 1)
	}
	s.conns = append(s.conns, c)
}

// leave forgets a connection, which was handed over or refused.
func (s *handshakes) leave(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.conns, c); i >= 0 {
		s.conns = slices.Delete(s.conns, i, i+1)
	}
}
