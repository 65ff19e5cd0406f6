package remote

import (
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
)

// maxConns bounds the connections to other executors that are kept when nobody
// uses them.
const maxConns = 64

// conns keeps connections to other executors.
type conns struct {
	security security.Security

	mu     sync.Mutex
	open   map[string]*conn // by address
	closed bool
}

// conn is a connection and who uses it.
type conn struct {
	cc    *grpc.ClientConn
	users int
	used  time.Time
}

// acquire returns the connection to an address. The caller releases it.
func (c *conns) acquire(address string) (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	x := c.open[address]
	if x == nil {
		cc, err := rpc.Dial(address, c.security)
		if err != nil {
			return nil, err
		}
		x = &conn{cc: cc}
		c.open[address] = x
	}
	x.users++
	return x.cc, nil
}

// release ends a use. Of the connections that nobody uses the oldest are closed.
func (c *conns) release(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.open[address]
	if x == nil {
		return
	}
	x.users--
	x.used = time.Now()
	if len(c.open) <= maxConns {
		return
	}
	oldest := ""
	for a, x := range c.open {
		if x.users == 0 && (oldest == "" || x.used.Before(c.open[oldest].used)) {
			oldest = a
		}
	}
	if oldest != "" {
		_ = c.open[oldest].cc.Close() // nothing is in flight on it
		delete(c.open, oldest)
	}
}

// close closes all connections and opens no more.
func (c *conns) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	var errs []error
	for _, x := range c.open {
		errs = append(errs, x.cc.Close())
	}
	clear(c.open)
	return errors.Join(errs...)
}
