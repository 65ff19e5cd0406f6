package role

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"google.golang.org/grpc"

	"github.com/hibana-engine/hibana/engine/offspring"
	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/wire"
)

// parentFD is the process's end of the socket pair.
const parentFD = 3

// Parent is a job process's connection to the daemon that started it.
type Parent struct {
	CC   *grpc.ClientConn
	gone chan struct{}
}

// OpenParent connects to the daemon over fd 3. It is called once, early: no
// other code of the process has touched the descriptor.
func OpenParent() (*Parent, error) {
	_ = offspring.Adopt() // what this process's descendants leave behind ends with it; else the daemon's tree isn't whole
	syscall.CloseOnExec(parentFD)
	f := os.NewFile(parentFD, "daemon")
	if f == nil {
		return nil, fmt.Errorf("%w: %s is set, but there is no daemon on file descriptor 3; run the program without it",
			wire.ErrInvalid, Env)
	}
	conn, err := net.FileConn(f)
	err = errors.Join(err, f.Close())
	if err != nil {
		return nil, fmt.Errorf("%w: %s is set, but file descriptor 3 isn't a daemon's socket; run the program without it: %w",
			wire.ErrInvalid, Env, err)
	}
	return NewParent(conn)
}

// NewParent is OpenParent over a connection that is there already.
func NewParent(conn net.Conn) (*Parent, error) {
	p := &Parent{gone: make(chan struct{})}
	once := make(chan net.Conn, 1)
	once <- &goneConn{Conn: conn, gone: p.gone}
	cc, err := rpc.DialPair("daemon", func() (net.Conn, error) {
		select {
		case c := <-once:
			return c, nil
		default:
			return nil, errors.New("the daemon that started this process is gone")
		}
	})
	if err != nil {
		return nil, err
	}
	p.CC = cc
	cc.Connect()
	return p, nil
}

// Gone is closed when the daemon has closed the connection or died. The process
// exits then, at once: another one has its place.
func (p *Parent) Gone() <-chan struct{} { return p.gone }

// Close closes the connection.
func (p *Parent) Close() error { return p.CC.Close() }

// goneConn closes gone when the connection breaks.
type goneConn struct {
	net.Conn
	gone chan struct{}
	once sync.Once
}

func (c *goneConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.once.Do(func() { close(c.gone) })
	}
	return n, err
}

func (c *goneConn) Close() error {
	c.once.Do(func() { close(c.gone) })
	return c.Conn.Close()
}
